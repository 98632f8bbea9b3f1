"""Transforms of torchvision and albumentations as steps of a pipeline.

Both draw their random numbers from a generator that is seeded anew for each sample, from NumPy's global one: the
stream of samples is the same after a resume. Where they pad, annotations are padded with ``seg_pad_val``, whereas
both libraries would pad with class 0. Both take colours as RGB, so images are turned around on the way.
"""

import difflib
import inspect
import os
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmcv.transforms.utils import cache_randomness

from mmseg.registry import TRANSFORMS

from .base import Transform, aligned_annotation_keys, require

NESTED = 'transforms'  # the argument of OneOf, RandomApply, ... that holds others


def build_nested(library, cfg: Mapping, defaults: Mapping, name: str) -> object:
    """A transform of a library from its config, those inside of it first.

    Args:
        library: the module whose classes ``type`` names.
        cfg: ``type`` and arguments.
        defaults: arguments to set where a class takes them and the config leaves them out.
        name: of the step that holds it, for errors.

    Raises:
        ValueError: there is no such class.
    """
    arguments = dict(cfg)
    kind = arguments.pop('type', None)
    known = [key for key in dir(library) if isinstance(getattr(library, key), type)]
    if kind not in known:
        near = difflib.get_close_matches(str(kind), known, n=1)
        raise ValueError(
            f'{name}: {library.__name__} has no transform {kind!r}{f", did you mean {near[0]!r}?" if near else ""}'
        )
    kind = getattr(library, kind)
    if isinstance(arguments.get(NESTED), (list, tuple)):
        arguments[NESTED] = [build_nested(library, one, defaults, name) for one in arguments[NESTED]]
    accepted = inspect.signature(kind).parameters
    for key, value in defaults.items():
        if key in accepted:
            arguments[key] = value(arguments.get(key)) if callable(value) else arguments.get(key, value)
    return kind(**arguments)


def _reversed(img: np.ndarray) -> np.ndarray:
    """BGR <-> RGB; other numbers of channels stay as they are."""
    return np.ascontiguousarray(img[..., ::-1] if img.ndim == 3 and img.shape[2] == 3 else img)


@TRANSFORMS.register_module()
class TorchVision(Transform):
    """Transforms of ``torchvision.transforms.v2``, of image and annotations together.

        dict(type='TorchVision', transforms=[dict(type='RandomAffine', degrees=10), dict(type='ColorJitter', hue=0.1)])

    Updates ``img``, ``img_shape`` and the annotations.

    Args:
        transforms: Configs, in order: the name of a class as ``type``, and its arguments.
        seg_pad_val: Label of annotation pixels that come from outside; ``fill`` is the image's alone.
    """

    def __init__(self, transforms: Sequence[Mapping], seg_pad_val: int = 255) -> None:
        from torchvision import tv_tensors
        from torchvision.transforms import v2

        require(
            isinstance(transforms, (list, tuple)) and len(transforms) > 0,
            f'TorchVision: transforms is a list of configs, not {transforms!r}.',
        )
        self.transforms = transforms
        self.seg_pad_val = seg_pad_val

        def fill(given: float | Sequence[float] | None) -> dict:
            return {tv_tensors.Image: 0 if given is None else given, tv_tensors.Mask: seg_pad_val}

        self._built = [build_nested(v2, cfg, dict(fill=fill), 'TorchVision') for cfg in transforms]

    @cache_randomness
    def _choose_seed(self) -> int:
        return np.random.randint(2**31)

    def transform(self, results: dict) -> dict:
        from torchvision import tv_tensors

        keys = aligned_annotation_keys(results, 'TorchVision')
        img = _reversed(results['img'])
        img = img if img.ndim == 3 else img[..., None]
        sample = dict(img=tv_tensors.Image(torch.from_numpy(img).permute(2, 0, 1)))
        for key in keys:
            sample[key] = tv_tensors.Mask(torch.from_numpy(results[key].astype(np.int64)))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self._choose_seed())
            for transform in self._built:
                sample = transform(sample)
        img = _reversed(sample['img'].permute(1, 2, 0).numpy())
        results['img'] = img if results['img'].ndim == 3 else img[..., 0]
        for key in keys:
            results[key] = sample[key].numpy().astype(results[key].dtype)
        results['img_shape'] = results['img'].shape[:2]
        return results


@TRANSFORMS.register_module()
class Albu(Transform):
    """Transforms of albumentations (2.0 or later), of image and annotations together.

        dict(type='Albu', transforms=[dict(type='RandomBrightnessContrast', p=0.2), dict(type='Rotate', limit=20)])

    Updates ``img``, ``img_shape`` and the annotations.

    Args:
        transforms: Configs, in order: the name of a class as ``type``, and its arguments.
        keymap: What albumentations calls a key of ``results``, {'img': 'image', 'gt_seg_map': 'mask'} where left out;
            other annotations are masks in any case.
        update_pad_shape: Set ``pad_shape`` to the new size as well.
        seg_pad_val: Label of annotation pixels that come from outside, where the config does not say ``fill_mask``.

    Raises:
        ImportError: albumentations is not there, or too old.
    """

    def __init__(
        self,
        transforms: Sequence[Mapping],
        keymap: Mapping[str, str] | None = None,
        update_pad_shape: bool = False,
        seg_pad_val: int = 255,
    ) -> None:
        albumentations = _albumentations()
        self.transforms = transforms
        self.keymap = keymap
        self.update_pad_shape = update_pad_shape
        self.seg_pad_val = seg_pad_val
        self._names = dict(keymap or {'img': 'image', 'gt_seg_map': 'mask'})
        require(self._names.get('img') == 'image', f"Albu: keymap={keymap!r} must have {{'img': 'image'}}")
        steps = [build_nested(albumentations, cfg, dict(fill_mask=seg_pad_val), 'Albu') for cfg in transforms]
        self._built = albumentations.Compose(steps, additional_targets=_OTHER_MASKS)

    @cache_randomness
    def _choose_seed(self) -> int:
        return np.random.randint(2**31)

    def transform(self, results: dict) -> dict:
        keys = aligned_annotation_keys(results, 'Albu')
        others = iter(_OTHER_MASKS)
        names = {key: self._names.get(key) or next(others) for key in keys}
        self._built.set_random_seed(self._choose_seed())
        found = self._built(image=_reversed(results['img']), **{name: results[key] for key, name in names.items()})
        results['img'] = _reversed(found['image'])
        for key, name in names.items():
            results[key] = found[name]
        results['img_shape'] = results['img'].shape[:2]
        if self.update_pad_shape:
            results['pad_shape'] = results['img'].shape[:2]
        return results


_OTHER_MASKS = {f'mask_{i}': 'mask' for i in range(8)}


def _albumentations():
    os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')  # it would ask the network for a newer version
    try:
        import albumentations
    except ImportError as error:
        raise ImportError(
            'Albu needs albumentations 2.0 or later. It asks for a second OpenCV (opencv-python-headless) that would '
            'overwrite files of the one that is there, so install it without: '
            'pip install --no-deps albumentations==2.0.8 albucore==0.0.24 stringzilla simsimd && pip install pydantic'
        ) from error
    if not hasattr(albumentations.Compose, 'set_random_seed'):
        raise ImportError(f'Albu needs albumentations 2.0 or later, this is {albumentations.__version__}')
    return albumentations
