"""mmsegmentation's ``MMSegInferencer``: a model that is called with images, and gives results or writes them."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from torch import nn

from mmseg.inference import Result, Segmentor
from mmseg.inference.images import Image
from mmseg.inference.result import write_picture
from mmseg.inference.segmentor import check_batch_size
from mmseg.inference.sources import Entry, Source, frames
from mmseg.registry import INFERENCERS
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer
from mmseg.zoo import models

from .inference import init_model

Inputs = Image | Sequence[Image]


@INFERENCERS.register_module()
class MMSegInferencer:
    """Segments images, from Python and from memory. For many files, ``predict`` writes results without keeping them.

        inferencer = MMSegInferencer('config.py', 'weights.pth')
        inferencer('street.jpg')['predictions']  # H x W class indices
        inferencer.result('street.jpg')          # shows itself in a notebook

    Args:
        model: a config or its file, a name that :func:`init_model` knows, or a model from it.
        weights: its checkpoint.
        classes, palette: names and [r, g, b] colours to draw with; the checkpoint's by default.
        dataset_name: take both from this dataset.
        device: where it runs; None takes the GPU where there is one.
        scope: in which names are looked up, where the config says nothing.
    """

    def __init__(
        self,
        model: nn.Module | str | Path | Config,
        weights: str | Path | None = None,
        classes: Sequence[str] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        dataset_name: str | None = None,
        device: str | None = None,
        scope: str = 'mmseg',
    ) -> None:
        if not isinstance(model, nn.Module):
            options = None if isinstance(model, Config) and model.get('default_scope') else dict(default_scope=scope)
            model = init_model(model, weights, device or 'cuda', options)
        self.model = model
        self.visualizer = SegLocalVisualizer(classes=classes, palette=palette, dataset_name=dataset_name)
        self.visualizer.dataset_meta = getattr(model, 'dataset_meta', None)
        self.segmentor = Segmentor(model, meta=self.visualizer.dataset_meta)

    def __call__(
        self,
        inputs: Inputs,
        return_datasamples: bool = False,
        batch_size: int = 1,
        show: bool = False,
        wait_time: float = 0,
        out_dir: str = '',
        img_out_dir: str = 'vis',
        pred_out_dir: str = 'pred',
        opacity: float = 0.8,
        with_labels: bool = True,
        return_vis: bool = True,
    ) -> dict | SegDataSample | list[SegDataSample]:
        """Segment one image or several.

        Args:
            inputs: an image (file, array, PIL image, tensor), several in a list, or whatever else
                :class:`mmseg.inference.sources.Source` takes: a folder, a pattern, a video.
            return_datasamples: give :class:`SegDataSample` instead of a dict.
            batch_size: images that are loaded and go through the network at a time.
            show: open a window with each picture, for ``wait_time`` seconds (0: until it is closed).
            out_dir: write pictures to ``out_dir/img_out_dir`` and label maps, grey PNG, to ``out_dir/pred_out_dir``,
                under the images' names; '' writes nothing. One of the two sub-folders may be '' to leave it out.
            opacity: of the colours.
            with_labels: write class names into the regions.
            return_vis: whether the dict has the pictures, which take more memory than the labels.

        Returns:
            ``predictions`` (H x W, int64) and ``visualization`` (H x W x 3, RGB, uint8) of each image: lists, or for
            a single image no lists.
        """
        check_batch_size(batch_size)
        source = Source(inputs)
        single = source.is_single and not isinstance(inputs, (list, tuple))
        samples, pictures = [], []
        draw = show or return_vis or bool(out_dir and img_out_dir)
        for entry, image, sample, picture in self._samples(source, batch_size, draw):
            samples.append(sample)
            if draw:
                drawn = self._draw(entry, picture, sample, show, wait_time, opacity, with_labels)
                if out_dir and img_out_dir:
                    path = _path(out_dir, img_out_dir, entry, _picture_suffix(image))
                    write_picture(path, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
                if return_vis and not return_datasamples:
                    pictures.append(drawn)
            if out_dir and pred_out_dir:
                write_picture(_path(out_dir, pred_out_dir, entry, '.png'), _grey(sample))
        if return_datasamples:
            return samples[0] if single else samples
        predictions = [sample.pred_sem_seg.data[0].cpu().numpy() for sample in samples]
        if not return_vis:
            pictures = [None] * len(samples)
        return dict(
            predictions=predictions[0] if single else predictions, visualization=pictures[0] if single else pictures
        )

    @staticmethod
    def list_models(scope: str = 'mmseg') -> list[str]:
        """The names that ``model`` may be; ``scope`` has one value only."""
        if scope != 'mmseg':
            raise ValueError(f'models of scope {scope!r} are not known here; those of mmseg are')
        return list(models())

    def result(self, image: Image) -> Result:
        """One image as a :class:`Result`: ``labels``, ``classes``, ``plot()``, ``save()``; a notebook shows it."""
        entry = next(iter(Source(image)))
        prepared = self.segmentor.prepare(entry.source, picture=True)
        return next(self.segmentor.segment([prepared], [entry.name], [entry.file]))

    def _samples(self, source: Source, batch_size: int, draw: bool):
        """Entry, image, sample and picture of each image, a batch at a time."""
        waiting: list[tuple[Entry, Image]] = []

        def run():
            batch = [self.segmentor.prepare(image, picture=draw) for _, image in waiting]
            for pair, prepared, sample in zip(waiting, batch, self.segmentor.predict(batch), strict=True):
                yield *pair, sample, prepared.picture

        for entry in source:
            for image in self._images(entry):
                waiting.append(image)
                if len(waiting) == batch_size:
                    yield from run()
                    waiting = []
        if waiting:
            yield from run()

    @staticmethod
    def _images(entry: Entry):
        if not entry.is_video:
            yield entry, entry.source
            return
        for number, frame in enumerate(frames(entry.source)):
            yield Entry(f'{entry.name}/{number:06d}', frame), frame

    def _draw(self, entry: Entry, picture: np.ndarray, sample: SegDataSample, show, wait_time, opacity, with_labels):
        self.visualizer.alpha = opacity
        image = np.ascontiguousarray(picture[..., ::-1])
        self.visualizer.add_datasample(
            entry.name, image, sample, draw_gt=False, show=show, wait_time=wait_time, with_labels=with_labels
        )
        return self.visualizer.get_image()


def _path(out_dir: str, folder: str, entry: Entry, suffix: str) -> str:
    path = os.path.join(out_dir, folder, entry.name + suffix)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def _picture_suffix(image: Image) -> str:
    suffix = os.path.splitext(image)[1].lower() if isinstance(image, str) else ''
    return suffix if suffix in ('.png', '.jpg', '.jpeg', '.bmp', '.webp') else '.png'


def _grey(sample: SegDataSample) -> np.ndarray:
    labels = sample.pred_sem_seg.data[0].cpu().numpy()
    return labels.astype(np.uint8 if labels.max() <= 255 else np.uint16)
