"""What several places of a config state must be stated alike: found before the first iteration, not hours later.

Facts are read from what was built, whatever class it is of: where an object does not say, nothing is compared.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import mmcv.transforms
import mmengine.dataset
from mmengine.runner import BaseLoop
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmseg.models.decode_heads.decode_head import BaseDecodeHead

from ..processes.group import bare_model
from ..samplers.sample_seed import SeededSamples

LOOPS = ('train', 'val', 'test')
# Transforms of these packages leave the number of channels alone, but for those that say so by their name.
KNOWN_TRANSFORMS, CHANGE_CHANNELS = ('mmseg.', 'mmcv.'), ('Gray', 'Albu', 'TorchVision')


class Fact(NamedTuple):
    """What one place states: ``model.decode_head.num_classes`` is 19."""

    key: str
    value: int
    note: str = ''  # whose it is, where the key does not say

    def __str__(self) -> str:
        return f'{self.key} is {self.value}{f" ({self.note})" if self.note else ""}'


def check_agreement(runner) -> None:
    """Compare what the model and the loops that are built state.

    Class counts of datasets, heads, class weights and palettes; the ignored label of datasets, heads, losses, metrics,
    padding and crops; channels of loaded images, normalisation and backbone.

    Raises:
        ValueError: places that contradict each other, with the value that each should have.
    """
    model = bare_model(runner.model)
    cfg = runner.cfg.get('model') or {}
    loops = {name: getattr(runner, f'_{name}_loop') for name in LOOPS}
    loops = {name: loop for name, loop in loops.items() if isinstance(loop, BaseLoop)}
    datasets = {f'{name}_dataloader.dataset': getattr(loop.dataloader, 'dataset', None) for name, loop in loops.items()}
    leaves = [leaf for key, dataset in datasets.items() for leaf in datasets_within(dataset, key)]
    heads = [(key, head) for key, head in _heads(model) if 'decode_head' in key or _scores_labels(head)]
    named = [(key, dataset) for key, dataset in leaves if _classes(dataset)]
    complaints = [
        *_classes_of_datasets(named),
        *_classes_of_heads(named, heads),
        *_classes_of_file(named, getattr(model, 'module', model)),
        *_class_weights(heads),
        *_colours(named, getattr(runner.visualizer, 'dataset_meta', None) or {}),
        *_ignored_labels(loops, leaves, heads, model),
        *_channels(leaves, model, cfg.get('module', cfg) if isinstance(cfg, dict) else None),
    ]
    if complaints:
        raise ValueError('\n- '.join(['the config contradicts itself:', *complaints]))


def datasets_within(dataset: Dataset | None, key: str) -> Iterator[tuple[str, Dataset]]:
    """The datasets inside of wrappers, and wrappers that have a pipeline themselves, with their keys in the config."""
    inner = getattr(dataset, 'datasets', None), getattr(dataset, 'dataset', None)
    if isinstance(dataset, SeededSamples):
        yield from datasets_within(dataset.dataset, key)  # which the runner wraps them in
        return
    if isinstance(inner[0], (list, tuple)):
        inside = [(f'{key}.datasets.{i}', part) for i, part in enumerate(inner[0])]
    else:
        inside = [(f'{key}.dataset', inner[1])] if isinstance(inner[1], Dataset) else []
    if dataset is not None and (not inside or getattr(dataset, 'pipeline', None) is not None):
        yield key, dataset
    for place, part in inside:
        yield from datasets_within(part, place)


def _differing(what: str, facts: Iterable[Fact]) -> Iterator[str]:
    """A complaint about all facts that are not as the first of them."""
    first, *others = [*facts] or [None]
    others = [fact for fact in others if fact.value != first.value]
    if others:
        fix = ', '.join(f'{fact.key}={first.value}' for fact in others)
        yield f'{what}: {first}, but {", ".join(map(str, others))}. Set {fix}'


# Classes


def _classes_of_datasets(named: list[tuple[str, Dataset]]) -> Iterator[str]:
    """Of the datasets that name their classes."""
    for key, dataset in named:
        (first_key, first_dataset), classes = named[0], _classes(dataset)
        first, palette = _classes(first_dataset), _meta(dataset).get('palette')
        if len(classes) != len(first):
            yield (
                f'classes: {first_key} ({type(first_dataset).__name__}) has {len(first)}, {key} '
                f'({type(dataset).__name__}) has {len(classes)}. Give both the same metainfo.classes'
            )
        elif classes != first and sorted(classes) == sorted(first):
            yield f'classes: {key} has those of {first_key} in another order. Give both the same metainfo.classes'
        if palette is not None and len(palette) not in (0, len(classes)):
            yield f'palette: {key}.metainfo.palette has {len(palette)} colours for {len(classes)} classes: one for each'


def _classes_of_heads(named: list[tuple[str, Dataset]], heads: list) -> Iterator[str]:
    counted = [
        Fact(f'{key}.num_classes', head.num_classes)
        for key, head in heads
        if isinstance(getattr(head, 'num_classes', None), int)
    ]
    if not named:
        yield from _differing('classes', counted)
        return
    key, dataset = named[0]
    for fact in counted:
        count = len(_classes(dataset))
        if fact.value != count:
            fix = 'Name the background in' if count == 1 else f'Set {fact.key}={count}, or choose classes with'
            yield (
                f'classes: {fact}, but {key} ({type(dataset).__name__}) has {count}. {fix} metainfo.classes of each '
                'dataset'
            )


def _classes_of_file(named: list[tuple[str, Dataset]], model: nn.Module) -> Iterator[str]:
    """Of an exported network, which nothing in the config states."""
    exported = getattr(model, 'metadata', None)
    for key, dataset in named if exported else ():
        count = len(_classes(dataset))
        if count != exported.num_classes:
            yield (
                f'classes: {model.file} was exported with {exported.num_classes}, {key} ({type(dataset).__name__}) has '
                f'{count}. Take a config whose data have the same classes'
            )


def _class_weights(heads: list) -> Iterator[str]:
    for key, head in heads:
        scores = getattr(head, 'out_channels', getattr(head, 'num_classes', None))
        counts = {scores, getattr(head, 'num_classes', scores)}  # one score may tell two classes apart
        for name, loss in _losses(head):
            weights = getattr(loss, 'class_weight', None)
            listed = isinstance(weights, (list, tuple)) or getattr(weights, 'ndim', 0) == 1
            if listed and isinstance(scores, int) and len(weights) not in counts:
                place = f'{key}.{name}.class_weight'
                yield f'class_weight: {place} has {len(weights)} numbers, {key} has {scores} scores: one for each'


def _colours(named: list[tuple[str, Dataset]], drawn: dict) -> Iterator[str]:
    """Of what the visualizer was given."""
    for key in ('classes', 'palette'):
        if named and drawn.get(key) is not None and len(drawn[key]) not in (0, len(_classes(named[0][1]))):
            yield (
                f'{key}: visualizer.{key} has {len(drawn[key])}, {named[0][0]} has {len(_classes(named[0][1]))} '
                'classes: one for each, or leave it to the dataset'
            )


def _classes(dataset: Dataset) -> list[str]:
    return [str(name).lower() for name in _meta(dataset).get('classes') or ()]


def _meta(dataset: Dataset) -> dict:
    meta = getattr(dataset, 'metainfo', None)
    return meta if isinstance(meta, Mapping) else {}


def _heads(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The heads with their keys in the config."""
    for name in ('decode_head', 'auxiliary_head'):
        head = getattr(model, name, None)
        if isinstance(head, nn.ModuleList):
            yield from ((f'model.{name}.{i}', part) for i, part in enumerate(head))
        elif isinstance(head, nn.Module):
            yield f'model.{name}', head


def _scores_labels(head: nn.Module) -> bool:
    """Whether an auxiliary head learns the label map; those of users may learn edges or the like."""
    as_ever = isinstance(head, BaseDecodeHead) and type(head).loss_by_feat is BaseDecodeHead.loss_by_feat
    return as_ever or type(head).__module__.startswith('mmseg.')


def _losses(head: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    losses = getattr(head, 'loss_decode', None)
    if isinstance(losses, nn.ModuleList):
        yield from ((f'loss_decode.{i}', loss) for i, loss in enumerate(losses))
    elif losses is not None:
        yield 'loss_decode', losses


# The ignored label


def _ignored_labels(loops: dict, leaves: list, heads: list, model: nn.Module) -> Iterator[str]:
    if 'train' in loops:
        yield from _differing('ignored label', _in_training(leaves, heads, model))
    for name in [name for name in ('val', 'test') if name in loops]:
        metrics = getattr(getattr(loops[name], 'evaluator', None), 'metrics', [])
        several = len(metrics) > 1
        facts = [
            *(_ignored(key, dataset) for key, dataset in leaves if key.startswith(name)),
            *(_ignored(f'{name}_evaluator{f".{i}" if several else ""}', metric) for i, metric in enumerate(metrics)),
        ]
        yield from _differing('ignored label', [fact for fact in facts if fact])


def _in_training(leaves: list, heads: list, model: nn.Module) -> Iterator[Fact]:
    leaves = [(key, dataset) for key, dataset in leaves if key.startswith('train')]
    facts = [_ignored(key, dataset) for key, dataset in leaves]
    for key, head in heads:
        facts.append(_ignored(key, head))
        facts += [_ignored(f'{key}.{name}', loss) for name, loss in _losses(head)]
    facts.append(_fact('model.data_preprocessor.seg_pad_val', getattr(model, 'data_preprocessor', None)))
    for key, dataset in leaves:
        for place, step in _steps(dataset, key):
            if getattr(step, 'cat_max_ratio', 0) != 1:  # where crops heed no labels
                facts.append(_ignored(place, step))
            facts.append(_fact(f'{place}.seg_pad_val', step))
            if isinstance(pad := getattr(step, 'pad_val', None), dict) and isinstance(pad.get('seg'), int):
                facts.append(Fact(f'{place}.pad_val.seg', pad['seg'], type(step).__name__))
    return (fact for fact in facts if fact)


def _ignored(key: str, owner: object) -> Fact | None:
    return _fact(f'{key}.ignore_index', owner)


def _fact(key: str, owner: object) -> Fact | None:
    value = getattr(owner, key.rsplit('.', 1)[1], None)
    return Fact(key, value, type(owner).__name__) if isinstance(value, int) else None


def _steps(dataset: Dataset, key: str) -> Iterator[tuple[str, object]]:
    """The transforms of a dataset's pipeline, those inside of others included, with their keys."""

    def inside(step: object, place: str) -> Iterator[tuple[str, object]]:
        if isinstance(step, (mmengine.dataset.Compose, mmcv.transforms.Compose)):
            step = step.transforms
        if isinstance(step, (list, tuple)):
            for i, part in enumerate(step):
                yield from inside(part, f'{place}.{i}')
        elif step is not None:
            yield place, step
            yield from inside(getattr(step, 'transforms', None), f'{place}.transforms')

    return inside(getattr(dataset, 'pipeline', None), f'{key}.pipeline')


# Channels


def _channels(leaves: list, model: nn.Module, cfg: dict | None) -> Iterator[str]:
    preprocessor = getattr(model, 'data_preprocessor', None)
    facts = [_backbone_channels(model, cfg)]
    for name in ('mean', 'std'):
        values = getattr(preprocessor, name, None)
        if isinstance(values, Tensor) and values.numel() > 1:
            facts.append(Fact(f'the length of model.data_preprocessor.{name}', values.numel()))
    facts += [_loaded_channels(key, dataset) for key, dataset in leaves]
    facts = [fact for fact in facts if fact]
    if len({fact.value for fact in facts}) > 1:
        yield f'image channels: {", ".join(map(str, facts))}. Make them one number'


def _backbone_channels(model: nn.Module, cfg: dict | None) -> Fact | None:
    """As the config says, else the backbone, else by its constructor's default."""
    backbone = getattr(model, 'backbone', None)
    channels = getattr(backbone, 'in_channels', None)
    if isinstance(cfg, dict) and isinstance(cfg.get('backbone'), dict):
        parameter = inspect.signature(type(backbone)).parameters.get('in_channels')
        default = channels or getattr(parameter, 'default', None)
        channels = cfg['backbone'].get('in_channels', default)
    return Fact('model.backbone.in_channels', channels) if isinstance(channels, int) else None


def _loaded_channels(key: str, dataset: Dataset) -> Fact | None:
    """What the loader of images gives, where no later step may change it."""
    steps = list(_steps(dataset, key))
    loaders = [(place, step) for place, step in steps if isinstance(getattr(step, 'color_type', None), str)]
    known = all(
        type(step).__module__.startswith(KNOWN_TRANSFORMS)
        and not any(name in type(step).__name__ for name in CHANGE_CHANNELS)
        for _, step in steps
    )
    if not known or len(loaders) != 1:
        return None
    place, loader = loaders[0]
    if loader.color_type == 'unchanged':
        channels, source = _look_at_first(dataset, loader)
    else:
        channels, source = 1 if 'gray' in loader.color_type else 3, repr(loader.color_type)
    return Fact(f'the number that {place} loads', channels, f'color_type={source}') if channels else None


def _look_at_first(dataset: Dataset, loader: mmcv.transforms.BaseTransform) -> tuple[int | None, str]:
    """The channels of the first image; unreadable ones are not this check's to complain of."""
    try:
        info = dataset.get_data_info(0)
        image = loader(info)['img']
    except (AttributeError, KeyError, IndexError, TypeError, OSError, ValueError):
        return None, ''
    return image.shape[2] if image.ndim == 3 else 1, f"'unchanged', by {info['img_path']}"
