"""The metadata of a model's file."""

from pathlib import Path

from torch import nn

from mmseg.datasets import BaseSegDataset
from mmseg.engine.config.tta import innermost_datasets
from mmseg.inference.pipeline import FILE_LOADERS, class_of
from mmseg.inference.scope import default_scope
from mmseg.registry import DATASETS, TRANSFORMS

from .metadata import Metadata, weights_sha256

MIN_SIDE = 32  # of LRFormer, and fit for all others; PyTorch's symbols cannot be maps of one row


def describe(model: nn.Module, output: str, fixed: dict[str, int | None], target: str, precision: str) -> Metadata:
    """What the file of a model will say about itself.

    Args:
        model: the one that is exported, with the weights that it was trained to.
        output, target, precision: see :func:`.export`.
        fixed: batch, height and width; None where they may be any.

    Raises:
        ValueError: images are padded to one size at test time, which no file does.
    """
    preprocessor, cfg = model.data_preprocessor, getattr(model, 'cfg', None) or {}
    meta = getattr(model, 'dataset_meta', None) or {}
    normalises = getattr(preprocessor, 'normalize', False)
    size, divisor = getattr(preprocessor, 'test_padding', (None, None))
    if size:
        raise ValueError(
            f'data_preprocessor.test_cfg pads images to size={size}, which no exported file does: leave it out of the '
            'config, and export with that size fixed'
        )
    whole_way = output != 'scores'
    order = None
    if image_channels(model) == 3:
        order = 'RGB' if whole_way or getattr(preprocessor, 'reverse_channels', False) else 'BGR'
    return Metadata(
        input='image' if whole_way else 'normalised',
        output='masks' if output == 'scores' and model.predicts_masks else output,
        channel_order=order,
        mean=preprocessor.mean.flatten().tolist() if normalises else [],
        std=preprocessor.std.flatten().tolist() if normalises else [],
        num_classes=model.num_classes,
        classes=[str(name) for name in meta.get('classes') or ()],
        palette=[[int(number) for number in colour] for colour in meta.get('palette') or ()],
        threshold=model.threshold,
        align_corners=model.align_corners,
        size_divisor=divisor or 1,
        **fixed,
        min_side=MIN_SIDE + 1 if target == 'torch' and fixed['height'] is None else MIN_SIDE,
        precision=precision,
        weights_sha256=weights_sha256(model),
        pipeline=plain(test_pipeline(model)),
        test_cfg=plain(model.test_cfg),
        model=Path(getattr(cfg, 'filename', None) or type(model).__name__).stem,
        target=target,
    )


def image_channels(model: nn.Module) -> int:
    return next(m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d))


def test_pipeline(model: nn.Module) -> list[dict] | None:
    """Of the config that the model was built from, for images that are files; None where it has none."""
    cfg = getattr(model, 'cfg', None) or {}
    if not cfg.get('test_dataloader'):
        return None
    dataset = next(innermost_datasets(cfg['test_dataloader']['dataset']))
    steps = dataset.get('pipeline')
    with default_scope(cfg):
        draws = not issubclass(class_of(dataset, DATASETS), BaseSegDataset)
        if steps and draws and not any(issubclass(class_of(step, TRANSFORMS), FILE_LOADERS) for step in steps):
            steps = [dict(type='LoadImageFromFile'), *steps]  # which a data set that draws its images goes without
    return steps


def plain(value: object) -> object:
    """A config's value as JSON has it; None where it holds a function or a class."""
    try:
        return _as_json(value)
    except TypeError:
        return None


def _as_json(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(value)
