"""Class colours over pictures, drawn with OpenCV; matplotlib is imported only when asked for."""

from collections.abc import Sequence
from typing import Any

import cv2
import mmcv
import numpy as np
from mmengine.dist import master_only
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer

from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.utils.dataset_names import dataset_meta
from mmseg.utils.palette import spread_palette

from .blend import blend


class _NoFigure:
    """Stands where :class:`mmengine.visualization.Visualizer` keeps its figure until one is needed."""

    def get_dpi(self) -> float:
        return 100.0  # matplotlib's default; read from the real figure once there is one


@VISUALIZERS.register_module()
class SegLocalVisualizer(Visualizer):
    """Draws annotations and predictions over the image.

    Args:
        name: the instance's name.
        image: an image to start with, H x W x 3, RGB.
        vis_backends: where pictures and numbers go, as for mmengine's ``Visualizer``.
        save_dir: the backends' folder.
        classes: class names; by default those of the dataset that runs.
        palette: [r, g, b] for each class; by default the dataset's, else one of evenly spread hues.
        dataset_name: take both from this dataset, named by its class ('ADE20KDataset') or in short
            ('ade20k', 'cityscapes').
        alpha: how strongly the colours cover the image: 0 not at all, 1 entirely.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        image: np.ndarray | None = None,
        vis_backends: list[dict] | dict | None = None,
        save_dir: str | None = None,
        classes: Sequence[str] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        dataset_name: str | None = None,
        alpha: float = 0.5,
    ) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f'alpha must lie between 0 (image only) and 1 (colours only), got {alpha}')
        self._overlay: np.ndarray | None = None
        super().__init__(name, image, vis_backends, save_dir)
        self.alpha = alpha
        # What is given here stays when a loop sets the meta information of its dataset.
        self._given_meta = {} if dataset_name is None else dict(dataset_meta(dataset_name))
        self._given_meta |= {k: v for k, v in (('classes', classes), ('palette', palette)) if v is not None}

    @property
    def dataset_meta(self) -> dict | None:
        """``classes`` and ``palette`` to draw with; known to every process, as each writes its pictures."""
        return {**(self._dataset_meta or {}), **self._given_meta} or None

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | None) -> None:
        self._dataset_meta = dataset_meta

    ax_save: object | None  # matplotlib's axes

    def _initialize_fig(self, fig_cfg: dict) -> tuple:
        # Importing matplotlib costs a second or more, and drawing class colours needs none of it.
        return None, _NoFigure(), None

    @master_only
    def set_image(self, image: np.ndarray) -> None:
        """Start a drawing by mmengine's ``draw_*`` methods on ``image`` (H x W x 3, RGB)."""
        if self.ax_save is None:
            self.fig_save_canvas, self.fig_save, self.ax_save = super()._initialize_fig(self.fig_save_cfg)
            self.dpi = self.fig_save.get_dpi()
        self._overlay = None
        super().set_image(image)

    @master_only
    def get_image(self) -> np.ndarray:
        """What was drawn last: by :meth:`add_datasample`, or on :meth:`set_image`. H x W x 3, RGB."""
        return super().get_image() if self._overlay is None else self._overlay

    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: SegDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        with_labels: bool = False,
    ) -> None:
        """Draw an image with its annotation (left) and its prediction (right), whichever it has.

        Args:
            name: the picture's name in the backends, and the window's title.
            image: H x W x 3, RGB, uint8.
            data_sample: its ``gt_sem_seg`` and ``pred_sem_seg`` are drawn. Pixels whose index is no
                class (ignored ones) show the image.
            draw_gt: draw the annotation.
            draw_pred: draw the prediction.
            show: open a window.
            wait_time: seconds it stays open; 0 waits for a key.
            out_file: write the picture here rather than to the backends. Every process does; to the
                backends only the main one.
            step: the iteration, part of the name in the backends.
            with_labels: write the class name into each large region.
        """
        panels = []
        for wanted, field in ((draw_gt, 'gt_sem_seg'), (draw_pred, 'pred_sem_seg')):
            if wanted and data_sample is not None and field in data_sample:
                panels.append(self._draw_sem_seg(image, getattr(data_sample, field), with_labels))
        drawn = np.concatenate(panels, axis=1) if panels else image
        self._overlay = drawn
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is None:
            self.add_image(name, drawn, step)
        elif not mmcv.imwrite(mmcv.rgb2bgr(drawn), str(out_file)):
            raise OSError(f'{out_file}: could not write the picture')

    def _draw_sem_seg(self, image: np.ndarray, sem_seg: PixelData, with_labels: bool) -> np.ndarray:
        labels = _to_map(sem_seg.data)
        if labels.shape != image.shape[:2]:
            raise ValueError(
                f'the image is {image.shape[0]} x {image.shape[1]} and the map of classes '
                f'{labels.shape[0]} x {labels.shape[1]} (height x width): resize one to the other'
            )
        palette = self._palette(labels)
        drawn = blend(image, labels, palette, self.alpha)
        if with_labels:
            self._write_names(drawn, labels, palette)
        return drawn

    def _palette(self, labels: np.ndarray) -> np.ndarray:
        meta = self.dataset_meta or {}
        palette, classes = meta.get('palette'), meta.get('classes')
        if palette is not None and len(palette):
            return np.array(palette, dtype=np.uint8)
        # 255 means "ignored" by convention, hence is no class to colour where none are known.
        known = labels[(labels >= 0) & (labels < 255)]
        return spread_palette(max(0 if classes is None else len(classes), int(known.max(initial=0)) + 1))

    def _write_names(self, drawn: np.ndarray, labels: np.ndarray, palette: np.ndarray) -> None:
        classes = (self.dataset_meta or {}).get('classes')
        if classes is None or not len(classes):
            classes = [str(i) for i in range(len(palette))]
        height, width = labels.shape
        scale = max(min(height, width) / 1000, 0.35)
        thickness = max(round(2 * scale), 1)
        for index in np.unique(labels):
            if not 0 <= index < min(len(classes), len(palette)):
                continue
            for x, y in _region_centres(labels == index, min_area=0.01 * labels.size):
                (w, h), below = cv2.getTextSize(classes[index], cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
                x0 = int(np.clip(x - w // 2, 0, max(width - w, 0)))
                y0 = int(np.clip(y + h // 2, h, max(height - below, h)))
                colour = palette[index].tolist()
                cv2.rectangle(drawn, (x0, y0 - h - 1), (x0 + w, y0 + below), colour, -1)
                ink = (0, 0, 0) if np.dot(colour, (0.299, 0.587, 0.114)) > 128 else (255, 255, 255)
                cv2.putText(
                    drawn,
                    classes[index],
                    (x0, y0),
                    cv2.FONT_HERSHEY_SIMPLEX,
                    scale,
                    ink,
                    thickness,
                    cv2.LINE_AA,
                )


def _region_centres(mask: np.ndarray, min_area: float) -> list[tuple[int, int]]:
    """x, y of a pixel well inside each connected region, as near its centroid as that allows."""
    regions, index, stats, centroids = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    centres = []
    for region in range(1, regions):
        if stats[region, cv2.CC_STAT_AREA] < min_area:
            continue
        # The frame of zeros makes the picture's border a border of the region.
        inside = np.pad((index == region).astype(np.uint8), 1)
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
        # The centroid itself may lie outside of a bent region.
        deep = np.argwhere(depth >= 0.8 * depth.max())[:, ::-1] - 1
        x, y = deep[((deep - centroids[region]) ** 2).sum(axis=1).argmin()]
        centres.append((int(x), int(y)))
    return centres


def _to_map(data: Any) -> np.ndarray:
    """[1 x] H x W class indices, a tensor on any device or an array, as an H x W array of integers."""
    array = data.cpu().numpy() if hasattr(data, 'cpu') else np.asarray(data)
    return (array[0] if array.ndim == 3 else array).astype(np.int64)
