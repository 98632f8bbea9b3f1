"""``export``: a trained model into one file, and the proof that the file computes the same."""

from pathlib import Path

from torch import nn

from mmseg.engine.tta import innermost_datasets

from .graph import Network, example
from .metadata import Metadata, weights_sha256
from .onnx_file import write_onnx
from .program import trace

TARGETS = {'onnx': '.onnx'}  # with the suffix of their files


def export(
    model: nn.Module,
    path: str | Path,
    target: str = 'onnx',
    *,
    batch: int | None = None,
    size: tuple[int, int] | None = None,
    opset: int = 18,
) -> Metadata:
    """Write a model from :func:`mmseg.apis.init_model` to a file for another runtime.

    Args:
        model: on the CPU, in eval mode; with ``cfg`` and ``dataset_meta`` the file knows classes, colours, pipeline.
        path: the file to write.
        target: one of TARGETS.
        batch: number of images that the file will take; None for any.
        size: height and width that it will take; None for any.
        opset: of ONNX.

    Returns:
        What the file says about itself.

    Raises:
        ValueError: an unknown target, or a suffix that is not the target's.
        TypeError: the model has a part that cannot be exported; the message names it.
        ModuleNotFoundError: a package is missing; the message says how to get it.
        RuntimeError: the batch or the size would be frozen against the request.
    """
    path = Path(path)
    if target not in TARGETS:
        raise ValueError(f'target={target!r}: it is none of {", ".join(TARGETS)}')
    if path.suffix != TARGETS[target]:
        raise ValueError(f'{path}: a file for {target} is named *{TARGETS[target]}')
    model = model.eval()
    graph = Network(model)
    height, width = size or (None, None)
    fixed = dict(batch=batch, height=height, width=width)
    metadata = describe(model, graph, fixed, target)
    program = trace(graph, example(_channels(model), batch, size), dict(batch=0, height=2, width=3), fixed)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_onnx(program, graph.inputs, graph.outputs, metadata, path, opset)
    return metadata


def describe(model: nn.Module, graph: nn.Module, fixed: dict[str, int | None], target: str) -> Metadata:
    """The metadata of a model's file."""
    preprocessor, cfg = model.data_preprocessor, getattr(model, 'cfg', {})
    normalises = getattr(preprocessor, 'normalize', False)
    meta = getattr(model, 'dataset_meta', None) or {}
    channels = _channels(model)
    size, divisor = getattr(preprocessor, 'test_padding', (None, None))
    if size:
        raise ValueError(
            f'data_preprocessor.test_cfg pads images to size={size}, which no exported file does; export with that '
            'fixed size, and without it in the config'
        )
    order = None
    if channels == 3:  # images are loaded as BGR
        order = 'RGB' if getattr(preprocessor, 'reverse_channels', False) else 'BGR'
    return Metadata(
        input='normalised',
        output='masks' if graph.of_masks else 'scores',
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
        min_side=32,
        precision='fp32',
        weights_sha256=weights_sha256(model),
        pipeline=_plain(_test_pipeline(cfg)),
        test_cfg=_plain(model.test_cfg),
        model=Path(getattr(cfg, 'filename', None) or type(model).__name__).stem,
        target=target,
    )


def _channels(model: nn.Module) -> int:
    return next(m.in_channels for m in model.backbone.modules() if isinstance(m, nn.Conv2d))


def _test_pipeline(cfg: dict) -> list[dict] | None:
    if not cfg.get('test_dataloader'):
        return None
    return next(innermost_datasets(cfg['test_dataloader']['dataset'])).get('pipeline')


def _plain(value: object) -> object:
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
