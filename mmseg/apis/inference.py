"""A trained model on single images, from Python."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.visualization import LocalVisBackend
from torch import nn

from mmseg.checkpoints import (
    choose_weights,
    complete_dataset_meta,
    dataset_meta_of,
    load_checkpoint_file,
    load_model_weights,
)
from mmseg.datasets.transforms import LoadImageFromFile
from mmseg.engine.config.overrides import read_options
from mmseg.engine.launch import load_config
from mmseg.inference import Segmentor
from mmseg.inference.images import Image, as_picture, file_or_array
from mmseg.inference.scope import default_scope
from mmseg.registry import DATASETS, MODELS
from mmseg.runtimes import SUFFIXES, is_exported
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules
from mmseg.utils.image_file import read_image
from mmseg.visualization import SegLocalVisualizer
from mmseg.zoo import is_name, weights_file


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str = 'cuda:0',
    cfg_options: dict | Sequence[str] | None = None,
    weights: str = 'ema',
    backend: str | None = None,
) -> nn.Module:
    """Builds a segmentor for inference. Nothing that other code of the process relies on is changed by it.

    Args:
        config: a config file, a config, or the name of a model (:func:`mmseg.zoo.models`); or a file of
            ``lrformer export``, which has in it what the model needs.
        checkpoint: its weights, a file or a URL; without, a name brings its published ones, and a config random ones,
            for tests. Or an exported file, which then sees images as ``config`` says.
        device: where it runs; the CPU takes over where CUDA is asked for and absent, and always runs exported files.
        cfg_options: values to put into the config, by dotted key; into a file, as if written there.
        weights: which of a checkpoint that has both: 'ema', the averaged ones (``EMAHook``), or 'last', those of the
            last iteration.
        backend: what runs an exported file: 'onnxruntime', 'openvino', or None for the one of its suffix.

    Returns:
        The model in eval mode, with ``cfg`` and ``dataset_meta`` (classes, palette) on it.
    """
    register_all_modules(init_default_scope=False)
    exported = next((file for file in (config, checkpoint) if is_exported(file)), None)
    if exported is not None:
        if weights != 'ema' or (exported is config and checkpoint is not None):
            raise ValueError(f'{exported}: an exported file holds its weights; checkpoint and weights are for others')
        return _init_exported(exported, None if exported is config else config, cfg_options, backend)
    if backend is not None:
        raise ValueError(f'backend={backend!r} is for exported files (*{", *".join(SUFFIXES)}), and this is none')
    if is_name(config):
        checkpoint = checkpoint or weights_file(str(config))
    cfg = _read_config(config, cfg_options)
    cfg.model.get('backbone', {}).pop('init_cfg', None)  # the checkpoint holds all weights
    with default_scope(cfg):
        model = MODELS.build(cfg.model)
    meta = None
    if checkpoint is not None:
        content = load_checkpoint_file(checkpoint)
        load_model_weights(model, choose_weights(content, weights, str(checkpoint)), source=str(checkpoint))
        meta = dataset_meta_of(content)
    model.dataset_meta = complete_dataset_meta(meta, lambda: _dataset_meta(cfg))
    model.cfg = cfg
    return model.to(device if torch.cuda.is_available() or not str(device).startswith('cuda') else 'cpu').eval()


def _read_config(config: str | Path | Config, options: dict | Sequence[str] | None) -> Config:
    if isinstance(config, (str, Path)):
        return load_config(config, options or {})
    if not isinstance(config, dict | Config):
        raise TypeError(f'config={config!r}: expected a config file, a config, or the name of a model')
    cfg = Config(copy.deepcopy(dict(config))) if isinstance(config, dict) else copy.deepcopy(config)
    cfg.merge_from_dict(options or {})
    return cfg


def _init_exported(
    file: str | Path, config: str | Path | Config | None, options: dict | Sequence[str] | None, backend: str | None
) -> nn.Module:
    """A file of ``lrformer export`` as a model, whose images go through a config's pipeline, or else the file's own."""
    from mmseg.runtimes.segmentor import config_in, use_exported
    from mmseg.runtimes.sessions import open_session

    session = open_session(file, backend)  # held, so that what follows does not open it again
    if config is None:
        cfg = config_in(file, backend)
        cfg.merge_from_dict(options if isinstance(options, Mapping) else read_options(options or (), cfg))
    else:
        cfg = _read_config(config, options)
    use_exported(cfg, file, backend)
    model = MODELS.build(cfg.model)
    made_up = {'classes': [f'class {i}' for i in range(session.metadata.num_classes)]}
    model.dataset_meta = complete_dataset_meta(
        model.dataset_meta, lambda: made_up if config is None else _dataset_meta(cfg)
    )
    model.cfg = cfg
    return model.eval()


def require_weights(config: str | Path | Config, checkpoint: str | Path | None) -> None:
    """Raises ValueError where :func:`init_model` would make up the weights of a config file."""
    if checkpoint is None and not is_exported(config) and isinstance(config, (str, Path)) and Path(config).is_file():
        raise ValueError(f'the weights are missing: give a checkpoint of {str(config)!r}')


def inference_model(
    model: nn.Module,
    imgs: Image | list[Image] | tuple[Image, ...] | Iterator[Image],
    scores: bool = False,
    batch_size: int = 1,
) -> SegDataSample | list[SegDataSample]:
    """Segments images through the config's test pipeline.

    Args:
        model: from :func:`init_model`.
        imgs: one image or several (a list, tuple or iterator). Each is a file, an H x W x 3 BGR array, a grey array
            (H x W), a PIL image, or a C x H x W or H x W x C tensor, BGR as well. Sizes may differ.
        scores: give the scores of all classes as well, which take much more memory than the labels.
        batch_size: how many images are loaded and go through the network at a time.

    Returns:
        A sample for each image, with ``pred_sem_seg`` (1 x H x W) at the image's own size, and where ``scores`` are
        asked for ``seg_logits`` (classes x H x W), about whose kinds :class:`~mmseg.structures.SegDataSample` tells.

    Raises:
        TypeError, ValueError, OSError: an image is none, or none that the model takes; the message says what it is
            and what was expected.
    """
    segmentor = Segmentor(model, scores)
    if isinstance(imgs, (list, tuple, Iterator)):
        return list(segmentor.samples(imgs, batch_size))
    return next(segmentor.samples([imgs]))


def show_result_pyplot(
    model: nn.Module,
    img: Image,
    result: SegDataSample,
    opacity: float = 0.5,
    title: str = '',
    draw_gt: bool = True,
    draw_pred: bool = True,
    wait_time: float = 0,
    show: bool = False,
    with_labels: bool = True,
    save_dir: str | None = None,
    out_file: str | None = None,
) -> np.ndarray:
    """Draws a result over its image.

    Args:
        model: from :func:`init_model`.
        img: the image, as for :func:`inference_model`.
        result: from :func:`inference_model`.
        opacity: of the colours, between 0 and 1.
        title: the window's, and the picture's name in ``save_dir``.
        draw_gt, draw_pred: which label maps to draw, of those that the result has.
        wait_time: how many seconds the window stays open; 0: until it is closed.
        show: open a window.
        with_labels: write class names into the regions.
        save_dir: where mmengine's visualizer keeps its pictures; None to keep none.
        out_file: where to save the picture.

    Returns:
        The picture, H x W x 3, RGB, uint8.
    """
    img = file_or_array(img, LoadImageFromFile(color_type='unchanged'))
    img = read_image(img) if isinstance(img, str) else as_picture(img)
    meta = getattr(model, 'dataset_meta', None) or {}
    visualizer = SegLocalVisualizer(
        classes=meta.get('classes'),
        palette=meta.get('palette'),
        alpha=opacity,
        save_dir=save_dir,
        vis_backends=None if save_dir is None else [dict(type=LocalVisBackend)],
    )
    visualizer.add_datasample(
        title or 'result',
        np.ascontiguousarray(img[..., ::-1]),
        result,
        draw_gt=draw_gt,
        draw_pred=draw_pred,
        show=show,
        wait_time=wait_time,
        out_file=out_file,
        with_labels=with_labels,
    )
    if save_dir is not None and out_file is not None:
        visualizer.add_image(title or 'result', visualizer.get_image())
    return visualizer.get_image()


def _dataset_meta(cfg: Config) -> dict:
    """Class names and colours of the config's test set, whose files need not be there."""
    dataset = copy.deepcopy(cfg.test_dataloader.dataset)
    with default_scope(cfg):
        return DATASETS.build(dict(dataset, lazy_init=True)).metainfo
