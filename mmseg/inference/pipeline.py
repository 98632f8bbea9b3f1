"""The test pipeline of a config, for images that come one by one instead of from the test set."""

import tempfile
from collections.abc import Callable
from typing import Any

import cv2
import mmcv.transforms
import numpy as np
from mmcv.transforms import TestTimeAug

from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations, LoadImageFromFile, LoadImageFromNDArray
from mmseg.datasets.transforms.building import build_steps
from mmseg.engine.config.tta import innermost_datasets, tta_pipeline
from mmseg.registry import DATASETS, TRANSFORMS
from mmseg.utils.image_file import UnreadableFileError, read_image

from .images import Image, describe, file_or_array
from .scope import default_scope

AT_OWN_SIZE = dict(type='AlignResize', scale_factor=1.0)
FILE_LOADERS = (LoadImageFromFile, mmcv.transforms.LoadImageFromFile)
PLAIN_LOADING = [loader.transform for loader in FILE_LOADERS]
ANNOTATION_LOADERS = (LoadAnnotations, mmcv.transforms.LoadAnnotations)

Step = dict | Callable


class ImagePipeline:
    """From an image to what a model's ``test_step`` takes, exactly as the config's test set does it.

    All steps are the test set's own, with their arguments, wherever they are nested, but for those that load
    annotations. An array takes the place of what the config's loader reads from a file; a loader derived from ours
    that does more gets it as a PNG file. A dataset that brings its images itself has no loader; files are then read
    by a plain ``LoadImageFromFile``.

    Args:
        cfg: a whole config, with ``test_dataloader`` (or mmsegmentation's ``test_pipeline``).
        own_size: leave out the resize, but for sides that become multiples of 32.
        tta: give several views of each image, as the config's ``tta_pipeline`` or :mod:`mmseg.engine.config.tta` says.

    Raises:
        ValueError: the config has no test pipeline, or several that differ.
    """

    def __init__(self, cfg: dict, own_size: bool = False, tta: bool = False) -> None:
        with default_scope(cfg):
            dataset, steps = _test_set(cfg)
            stated = cfg.get('tta_pipeline')
            if own_size:
                steps = _rewrite(steps, lambda kind, step: AT_OWN_SIZE if _resizes(step) else step)
            if tta:
                steps = _without_annotations(stated) if stated and not own_size else tta_pipeline(steps)
            loaders: list[Step] = []
            _rewrite(steps, lambda kind, step: _note(loaders, step) if issubclass(kind, FILE_LOADERS) else step)
            if not loaders and not issubclass(dataset, BaseSegDataset):
                loaders = [dict(type=LoadImageFromFile)]
                steps = [*loaders, *steps]
            self.loader = of_arrays = None
            if loaders:
                [self.loader] = build_steps(loaders[:1])
                form = {key: getattr(self.loader, key) for key in ('to_float32', 'color_type', 'imdecode_backend')}
                reader, taker = LoadImageFromFile(**form), LoadImageFromNDArray(**form)
                of_arrays = _rewrite(steps, lambda kind, step: taker if issubclass(kind, FILE_LOADERS) else step)
                # A pipeline made for arrays takes files as well.
                steps = _rewrite(steps, lambda kind, step: reader if issubclass(kind, LoadImageFromNDArray) else step)
            self._of_files = build_steps(steps)
            self._of_arrays = build_steps(of_arrays or ())

    def __call__(self, image: Image) -> dict:
        """``inputs`` and ``data_samples`` of one image.

        Raises:
            TypeError, ValueError, OSError: it is no image that can be read (:func:`.images.file_or_array`).
        """
        return self.with_picture(image)[0]

    def with_picture(self, image: Image) -> tuple[dict, np.ndarray | None]:
        """The same, and the image as it was loaded; None where the loader is not one of the pipeline's own steps."""
        source = file_or_array(image, self.loader or LoadImageFromFile())
        if isinstance(source, str):
            results, steps = dict(img_path=source), self._of_files
        elif self.loader is None:
            raise TypeError(
                f'{describe(image)}: the pipeline loads images by a step of its own, so give a file; for others, '
                'derive that step from LoadImageFromFile'
            )
        elif type(self.loader).transform not in PLAIN_LOADING:
            return self._through_file(source, image)
        else:
            results, steps = dict(img=source, img_path=None), self._of_arrays
        return self._run(steps, results)

    def _through_file(self, array: np.ndarray, image: Image) -> tuple[dict, np.ndarray | None]:
        if array.dtype not in (np.uint8, np.uint16) or array.shape[2:] not in ((), (1,), (3,), (4,)):
            raise TypeError(
                f'{describe(image)}: {type(self.loader).__name__} loads images its own way, and no PNG file for it can '
                'hold this one: give a file'
            )
        with tempfile.NamedTemporaryFile(suffix='.png') as file:
            file.write(cv2.imencode('.png', array, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes())
            file.flush()
            results, picture = self._run(self._of_files, dict(img_path=file.name))
        samples = results['data_samples']
        for sample in samples if isinstance(samples, list) else [samples]:
            sample.set_metainfo(dict(img_path=None))
        return results, picture

    def _run(self, steps: list[Callable], results: dict) -> tuple[dict, np.ndarray | None]:
        source = results['img_path']
        results['seg_fields'], picture = [], None
        for step in steps:
            results = step(results)
            if results is None:
                raise UnreadableFileError(f'image {source!r} cannot be read: {type(step).__name__} leaves it out')
            if isinstance(step, FILE_LOADERS):
                picture = results['img']
        return results, picture

    def picture(self, image: Image) -> np.ndarray:
        """The image to draw on, where no step of the pipeline's own showed it."""
        source = file_or_array(image, LoadImageFromFile(color_type='unchanged'))
        return read_image(source) if isinstance(source, str) else source


def _test_set(cfg: dict) -> tuple[type, list[Step]]:
    """The class of the test set, inside all wrappers, and its pipeline without annotations."""
    sets = list(innermost_datasets(cfg['test_dataloader']['dataset'])) if cfg.get('test_dataloader') else []
    pipelines = [_without_annotations(dataset['pipeline']) for dataset in sets if dataset.get('pipeline')]
    if not pipelines and cfg.get('test_pipeline'):
        return BaseSegDataset, _without_annotations(cfg['test_pipeline'])
    if not pipelines:
        raise ValueError('the config has no test pipeline: state test_dataloader.dataset.pipeline')
    if any(pipeline != pipelines[0] for pipeline in pipelines):
        raise ValueError('the test sets of the config have different pipelines; state the one to use for single images')
    return class_of(sets[0], DATASETS), pipelines[0]


def _resizes(step: Step) -> bool:
    return isinstance(step, dict) and bool({'scale', 'scale_factor'} & set(step))


def class_of(part: Step, registry) -> type:
    """What a config's ``type`` means in the current scope, however it is written: a name, a scoped name or a class."""
    kind = part.get('type') if isinstance(part, dict) else type(part)
    if isinstance(kind, str):
        with registry.switch_scope_and_registry(None) as scoped:
            kind = scoped.get(kind)
    return kind if isinstance(kind, type) else object


def _without_annotations(steps: list) -> list[Step]:
    return _rewrite(steps, lambda kind, step: None if issubclass(kind, ANNOTATION_LOADERS) else step)


def _note(found: list, step: Step) -> Step:
    found.append(step)
    return step


def _rewrite(steps: list, change: Callable[[type, Step], Step | None]) -> list:
    """Steps after ``change(class, step)`` of each, also of those inside others; None leaves a step out."""
    return [new for new in (_rewrite_step(step, change) for step in steps) if new is not None]


def _rewrite_step(step: Any, change) -> Any:
    if isinstance(step, (list, tuple)):
        return _rewrite(step, change)
    kind = class_of(step, TRANSFORMS)
    step = change(kind, step)
    if not isinstance(step, dict):
        return step
    inside = {key: value for key, value in step.items() if key != 'type' and _holds_steps(value)}
    new = {key: _rewrite_inside(value, change) for key, value in inside.items()}
    if issubclass(kind, TestTimeAug):  # it combines one choice from each list
        new = {key: [choices for choices in value if choices] for key, value in new.items()}
    if inside and not any(map(_holds_steps, new.values())):
        return None  # nothing is left to do
    return {**step, **new}


def _rewrite_inside(value: Any, change) -> Any:
    return _rewrite(value, change) if isinstance(value, (list, tuple)) else _rewrite_step(value, change)


def _holds_steps(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_steps, value))
    return callable(value) or (isinstance(value, dict) and 'type' in value)
