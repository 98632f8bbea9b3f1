"""A trained model on single images, from Python."""

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from torch import nn

from mmseg.checkpoints import complete_dataset_meta, dataset_meta_of, load_checkpoint_file, load_model_weights
from mmseg.registry import DATASETS, MODELS, TRANSFORMS
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules
from mmseg.visualization import SegLocalVisualizer

Image = str | Path | np.ndarray


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str = 'cuda:0',
    cfg_options: dict | None = None,
) -> nn.Module:
    """Builds a segmentor for inference.

    Args:
        config: a config file, or a config.
        checkpoint: its weights; random ones without, for tests.
        device: where it runs; the CPU takes over where CUDA is asked for and absent.
        cfg_options: values to put into the config, by dotted key.

    Returns:
        The model in eval mode, with ``cfg`` and ``dataset_meta`` (classes, palette) on it.
    """
    register_all_modules()
    cfg = Config.fromfile(config) if isinstance(config, (str, Path)) else copy.deepcopy(config)
    cfg.merge_from_dict(cfg_options or {})
    cfg.model.backbone.pop('init_cfg', None)  # the checkpoint holds all weights
    model = MODELS.build(cfg.model)
    meta = None
    if checkpoint is not None:
        content = load_checkpoint_file(checkpoint)
        load_model_weights(model, content['state_dict'], source=str(checkpoint))
        meta = dataset_meta_of(content)
    model.dataset_meta = complete_dataset_meta(meta, lambda: _dataset_meta(cfg))
    model.cfg = cfg
    return model.to(device if torch.cuda.is_available() or not str(device).startswith('cuda') else 'cpu').eval()


def inference_model(model: nn.Module, imgs: Image | Sequence[Image]) -> SegDataSample | list[SegDataSample]:
    """Segments images through the config's test pipeline.

    Args:
        model: from :func:`init_model`.
        imgs: one image or several, each a file or an H x W x 3 BGR array; sizes may differ.

    Returns:
        A sample for each image, with ``pred_sem_seg`` (1 x H x W) at the image's own size.
    """
    several = isinstance(imgs, (list, tuple))
    pipeline = {kind: _pipeline(model.cfg, kind) for kind in ('LoadImageFromFile', 'LoadImageFromNDArray')}
    items = []
    for image in imgs if several else [imgs]:
        if isinstance(image, np.ndarray):
            items.append(pipeline['LoadImageFromNDArray'](dict(img=image, img_path=None)))
        else:
            items.append(pipeline['LoadImageFromFile'](dict(img_path=str(image))))
    batch = {key: [item[key] for item in items] for key in ('inputs', 'data_samples')}
    with torch.no_grad():
        results = model.test_step(batch)
    return results if several else results[0]


def show_result_pyplot(
    model: nn.Module,
    img: Image,
    result: SegDataSample,
    opacity: float = 0.5,
    draw_gt: bool = False,
    draw_pred: bool = True,
    with_labels: bool = True,
    show: bool = False,
    wait_time: float = 0,
    out_file: str | None = None,
) -> np.ndarray:
    """Draws a result over its image.

    Args:
        model: from :func:`init_model`.
        img: the image, a file or an H x W x 3 BGR array.
        result: from :func:`inference_model`.
        opacity: of the colours, between 0 and 1.
        draw_gt, draw_pred: which label maps to draw.
        with_labels: write class names into the regions.
        show: open a window, for ``wait_time`` seconds (0: until it is closed).
        out_file: where to save the picture.

    Returns:
        The picture, H x W x 3, RGB, uint8.
    """
    if not isinstance(img, np.ndarray):
        img = TRANSFORMS.build(dict(type='LoadImageFromFile'))(dict(img_path=str(img)))['img']
    visualizer = SegLocalVisualizer(
        classes=model.dataset_meta['classes'], palette=model.dataset_meta['palette'], alpha=opacity
    )
    visualizer.add_datasample(
        'result',
        np.ascontiguousarray(img[..., ::-1]),
        result,
        draw_gt=draw_gt,
        draw_pred=draw_pred,
        show=show,
        wait_time=wait_time,
        out_file=out_file,
        with_labels=with_labels,
    )
    return visualizer.get_image()


def _pipeline(cfg: Config, loader: str) -> Compose:
    """The test pipeline without annotations, beginning with the given way to load an image."""
    init_default_scope(cfg.get('default_scope') or DefaultScope.get_current_instance().scope_name)
    steps = [
        step
        for step in cfg.test_dataloader.dataset.pipeline
        if step['type'] not in ('LoadImageFromFile', 'LoadImageFromNDArray', 'LoadAnnotations')
    ]
    return Compose([TRANSFORMS.build(step) for step in [dict(type=loader), *steps]])


def _dataset_meta(cfg: Config) -> dict:
    """Class names and colours of the config's test set, whose files need not be there."""
    dataset = copy.deepcopy(cfg.test_dataloader.dataset)
    return DATASETS.build(dict(dataset, lazy_init=True)).metainfo
