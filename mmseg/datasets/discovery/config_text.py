"""The config of a data set, as a text that needs no other file and that people read and change."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmseg.version import __version__
from mmseg.zoo import config_file

from .classes import Classes
from .plan import Plan
from .survey import Survey

WIDTH = 120
ANY_CONFIG = 'lrformer-n_scenes-128x128'  # whose folder leads to the parts that all configs share
PUBLISHED_GRID, LEAST_GRID = 16, 4  # cells of a query grid's shorter side
STRIDES = (4, 8, 16, 32)


def config_text(
    kind: str,
    found: Sequence[str],
    roots: tuple[str, str],
    files: str,
    splits: Sequence[str],
    classes: Classes,
    survey: Survey,
    plan: Plan,
    workers: int,
) -> str:
    """The text of a config.

    Args:
        kind: what the data is.
        found: lines on what was found, for the comment at its top.
        roots: folders that images and label maps start from.
        files: folder of the lists.
        splits: names of the lists; train and val, perhaps test.
        classes: of the data.
        survey: of the images.
        plan: what is to be trained.
        workers: processes that load images.
    """
    parts = [
        _head(kind, found),
        _data(roots, files, classes),
        _pipelines(survey, plan),
        _loaders(splits, workers, plan),
        _model(classes, survey, plan),
        _schedule(survey, plan),
        _runtime(),
    ]
    return '\n'.join(parts)


def _head(kind: str, found: Sequence[str]) -> str:
    title = f'{kind[0].upper()}{kind[1:]}. Written by `lrformer new` ({__version__}); every line may be changed.'
    return '\n'.join([f'"""{title}', '', *found, '"""', ''])


def _data(roots: tuple[str, str], files: str, classes: Classes) -> str:
    meta = {'classes': tuple(classes.names), 'palette': classes.palette}
    if classes.label_palette is not None:
        meta['label_palette'] = classes.label_palette
    if classes.label_map:
        meta['label_map'] = classes.label_map
    prefix = {'img_path': '', 'seg_map_path': '' if roots[0] == roots[1] else roots[1]}
    reduce = 'dataset.update(reduce_zero_label=True)  # label 0 is ignored, and class k is label k + 1\n'
    return (
        '# ---- data ----\n'
        f'data_root = {roots[0]!r}\n'
        f'lists = {files!r}  # its CSV files say which image has which labels, in which split\n'
        + _assign('metainfo', meta)
        + "num_classes = len(metainfo['classes'])\n"
        + _assign('dataset', {'type': 'PairsDataset', 'metainfo': _Name('metainfo'), 'data_prefix': prefix})
        + (reduce if classes.reduce_zero_label else '')
    )


def _pipelines(survey: Survey, plan: Plan) -> str:
    load: dict[str, Any] = {'type': 'LoadImageFromFile'}
    if not survey.is_photo:
        load |= {'color_type': survey.reading.color_type, 'imdecode_backend': survey.reading.image_backend}
        load['to_float32'] = True
    colours = ["    dict(type='PhotoMetricDistortion'),"] if survey.is_photo else []
    return '\n'.join(
        [
            f'# ---- sizes: {plan.reason} ----',
            f'crop_size = {plan.crop!r}  # height, width of a training sample',
            f'image_scale = {plan.scale!r}  # longer side at most, shorter side at most, keeping the ratio',
            _assign('load_image', load).rstrip('\n'),
            'train_pipeline = [',
            '    load_image,',
            "    dict(type='LoadAnnotations'),",
            "    dict(type='RandomResize', scale=image_scale, ratio_range=(0.5, 2.0), keep_ratio=True),",
            "    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),",
            "    dict(type='RandomFlip', prob=0.5),",
            *colours,
            "    dict(type='PackSegInputs'),",
            ']',
            'test_pipeline = [',
            '    load_image,',
            "    dict(type='AlignResize', scale=image_scale, size_divisor=32),",
            "    dict(type='LoadAnnotations'),  # after the resize: scores are for labels at their own size",
            "    dict(type='PackSegInputs'),",
            ']',
            '',
        ]
    )


def _loaders(splits: Sequence[str], workers: int, plan: Plan) -> str:
    many = f'num_workers={workers}, persistent_workers={workers > 0}'
    text = (
        'train_dataloader = dict(\n'
        f'    global_batch_size={plan.batch},  # of all GPUs together; with little memory, add --batch-per-gpu\n'
        f'    {many.replace(", ", f",{chr(10)}    ")},\n'
        "    sampler=dict(type='InfiniteSampler', shuffle=True),\n"
        "    dataset=dict(ann_file=f'{lists}/train.csv', pipeline=train_pipeline, **dataset),\n"
        ')\n'
    )
    for split in ('val', 'test'):
        if split not in splits:
            text += 'test_dataloader = val_dataloader\n'
            continue
        text += (
            f'{split}_dataloader = dict(\n'
            '    batch_size=1,\n'
            f'    {many.replace(", ", f",{chr(10)}    ")},\n'
            "    sampler=dict(type='DefaultSampler', shuffle=False),\n"
            f"    dataset=dict(ann_file=f'{{lists}}/{split}.csv', pipeline=test_pipeline, test_mode=True, **dataset),\n"
            ')\n'
        )
    return text + "val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])\ntest_evaluator = val_evaluator\n"


def _model(classes: Classes, survey: Survey, plan: Plan) -> str:
    model = _base('models/lrformer.py')['model']
    model['backbone'] |= {'variant': plan.variant}
    pre = model['data_preprocessor']
    notes = [f'# Measured on these images: mean={survey.mean}, std={survey.std}']
    if survey.channels != 3:
        model['backbone']['in_channels'] = survey.channels
    if not survey.is_photo:
        pre['bgr_to_rgb'] = False
    if not (survey.is_photo and plan.start):
        pre |= {'mean': survey.mean, 'std': survey.std}
        notes = []
    else:
        notes[0] += ', but the weights below were trained with these:'
    pre['size'] = _Name('crop_size')
    model['decode_head']['num_classes'] = _Name('num_classes')
    grids = tuple(min(PUBLISHED_GRID, max(LEAST_GRID, min(plan.crop) // stride)) for stride in STRIDES)
    if plan.start is None and grids != (PUBLISHED_GRID,) * len(STRIDES):
        model['backbone']['q_pooled_sizes'] = grids  # query grids no finer than the maps
    shares = [pixels / max(sum(classes.pixels), 1) for pixels in classes.pixels]
    table = [f'#   {name}: {share:.2%}' for name, share in zip(classes.names, shares, strict=True)]
    advice = [
        '# Shares of the labelled pixels:',
        *table,
        '# To weight classes by the inverse square root of these:',
        "# model['decode_head']['loss_decode']['class_weight'] = 'auto'",
    ]
    return '\n'.join(['', '# ---- model ----', *notes, _assign('model', model).rstrip('\n'), *advice, ''])


def _schedule(survey: Survey, plan: Plan) -> str:
    schedule = _base('schedules/schedule_160k.py')
    schedule['train_cfg']['max_iters'] = plan.iterations
    wrapper = schedule['optim_wrapper']
    wrapper['optimizer']['lr'] = plan.lr
    wrapper['paramwise_cfg']['lr_mult'] = {'decode_head': plan.head_factor}
    warmup, decay = schedule['param_scheduler']
    warmup['end'] = decay['begin'] = plan.warmup
    text = '# ---- schedule: validation and checkpoints after each tenth of it ----\n'
    text += ''.join(_assign(key, value) for key, value in schedule.items())
    if plan.start:
        text += f'load_from = {plan.start!r}  # a published model; its classifier has other classes and is left out\n'
        text += 'ignore_mismatched_sizes = True\n'
        text += 'adapt_input_channels = True\n' if survey.channels != 3 else ''
    else:
        text += 'load_from = None  # random weights; a published model learns faster: lrformer models lists them\n'
    return text


def _runtime() -> str:
    runtime = _base('default_runtime.py')
    for key in ('load_from', 'ignore_mismatched_sizes', 'adapt_input_channels'):
        runtime.pop(key)
    return '\n# ---- what every run shares ----\n' + ''.join(_assign(key, value) for key, value in runtime.items())


def _base(name: str) -> dict:
    config = Config.fromfile(Path(config_file(ANY_CONFIG)).parents[1] / '_base_' / name)
    return config.to_dict()


class _Name(str):
    """The name of a variable."""


def _assign(name: str, value: Any) -> str:
    return f'{name} = {_literal(value, len(name) + 3, 0)}\n'


def _literal(value: Any, used: int, indent: int) -> str:
    """Python's text of a value, in lines of at most WIDTH signs where it can be broken."""
    flat = _flat(value)
    if used + len(flat) + 1 <= WIDTH or not isinstance(value, (dict, list, tuple)) or not value:
        return flat
    inner = ' ' * (indent + 4)
    if isinstance(value, dict) and not all(isinstance(key, str) and key.isidentifier() for key in value):
        opening, closing, pairs = '{', '}', [(f'{key!r}: ', item) for key, item in value.items()]
    elif isinstance(value, dict):
        opening, closing, pairs = 'dict(', ')', [(f'{key}=', item) for key, item in value.items()]
    else:
        opening, closing = '()' if isinstance(value, tuple) else '[]'
        pairs = [('', item) for item in value]
    items = [f'{key}{_literal(item, indent + 4 + len(key), indent + 4)}' for key, item in pairs]
    if isinstance(value, (list, tuple)) and all(len(item) < WIDTH // 4 for item in items):
        return f'{opening}\n{_filled(items, inner)}\n{" " * indent}{closing}'
    return f'{opening}\n' + ''.join(f'{inner}{item},\n' for item in items) + ' ' * indent + closing


def _filled(items: Sequence[str], inner: str) -> str:
    lines = [inner]
    for item in items:
        if len(lines[-1]) + len(item) + 2 > WIDTH:
            lines.append(inner)
        lines[-1] += f'{item}, '
    return '\n'.join(line.rstrip() for line in lines)


def _flat(value: Any) -> str:
    if isinstance(value, _Name):
        return str(value)
    if isinstance(value, dict):
        if all(isinstance(key, str) and key.isidentifier() for key in value):
            return f'dict({", ".join(f"{key}={_flat(item)}" for key, item in value.items())})'
        return '{' + ', '.join(f'{key!r}: {_flat(item)}' for key, item in value.items()) + '}'
    if isinstance(value, (list, tuple)):
        inner = ', '.join(map(_flat, value)) + ',' * (isinstance(value, tuple) and len(value) == 1)
        return f'({inner})' if isinstance(value, tuple) else f'[{inner}]'
    return repr(value)
