"""Class names and colours that a checkpoint states, and what takes the place of those that it does not."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from mmengine.logging import print_log

from mmseg.utils.palette import spread_palette


def dataset_meta_of(checkpoint: dict) -> dict | None:
    """What a checkpoint states of ``classes`` (names) and ``palette`` (a list of [r, g, b], 0 to 255), each for itself.

    mmsegmentation 0.x wrote ``CLASSES`` and ``PALETTE`` into ``meta``, 1.0's first releases into its ``dataset_meta``;
    arrays, tensors and tuples are taken as well. What is neither names nor colours counts as not stated. None where
    neither is.
    """
    meta = checkpoint.get('meta')
    if not isinstance(meta, dict):
        return None
    stated = meta.get('dataset_meta')
    stated = stated if isinstance(stated, dict) else {}
    found = {
        key: next(filter(None, map(read, (stated.get(key), stated.get(key.upper()), meta.get(key.upper())))), None)
        for key, read in (('classes', _names), ('palette', _colours))
    }
    return {key: value for key, value in found.items() if value} or None


def complete_dataset_meta(stated: dict | None, default: Callable[[], dict]) -> dict:
    """Class names and one colour for each: those stated first, then the default's where they fit, then made ones.

    Args:
        stated: from :func:`dataset_meta_of`.
        default: gives the config's, called only if something is missing.
    """
    classes, palette = ((stated or {}).get(key) for key in ('classes', 'palette'))
    if classes and palette and len(classes) <= len(palette):
        return {'classes': classes, 'palette': palette[: len(classes)]}
    if classes and palette:
        print_log(
            f'the checkpoint states {len(classes)} classes and {len(palette)} colours: its palette is left out',
            'current',
            logging.WARNING,
        )
        palette = None
    known = default()
    if not classes:
        classes = _names(known.get('classes'))
        if palette and len(classes or ()) != len(palette):
            classes = [f'class {i}' for i in range(len(palette))]
    if not palette and list(classes or ()) == list(_names(known.get('classes')) or ()):
        palette = _colours(known.get('palette'))
    if classes and len(palette or ()) < len(classes):
        palette = spread_palette(len(classes)).tolist()
    return {**known, 'classes': classes, 'palette': palette}


def _names(value: object) -> Sequence[str] | None:
    value = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(value, (list, tuple)) or not value:
        return None
    return value if all(isinstance(name, str) for name in value) else None


def _colours(value: object) -> list[list[int]] | None:
    try:
        value = value.tolist() if hasattr(value, 'tolist') else value
        colours = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None
    if colours.ndim != 2 or colours.shape[1] != 3 or not len(colours):
        return None
    if not np.isfinite(colours).all() or colours.min() < 0 or colours.max() > 255:
        return None
    is_fraction = colours.max() <= 1 and (colours != colours.round()).any()
    return (255 * colours if is_fraction else colours).round().astype(int).tolist()
