"""Annotations that show each class in its colour, and the label values that they stand for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmseg.utils.image_file import decode

SHOWN = 4  # colours that an error message names


def colours_of(content: bytes, path: str | Path) -> np.ndarray:
    """An annotation's colours, H x W: 65536 red + 256 green + blue. Transparency is dropped.

    Raises:
        UnreadableFileError: the content is no image.
    """
    blue, green, red = np.moveaxis(decode(content, path, 'annotation', 'color_ignore_orientation', 'pillow'), -1, 0)
    return (red.astype(np.int32) << 16) | (green.astype(np.int32) << 8) | blue


def pack(palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Each [r, g, b] as one number, in the way of :func:`colours_of`."""
    return np.array([(red << 16) | (green << 8) | blue for red, green, blue in palette], dtype=np.int32)


def unpack(colours: np.ndarray) -> list[list[int]]:
    """The reverse of :func:`pack`."""
    return [[int(colour) >> 16, int(colour) >> 8 & 255, int(colour) & 255] for colour in colours]


def labels_of(colours: np.ndarray, palette: Sequence[Sequence[int]], path: str | Path) -> np.ndarray:
    """The index of each colour in the palette.

    Args:
        colours: H x W, from :func:`colours_of`.
        palette: [r, g, b] of label 0, 1, ...
        path: for messages.

    Returns:
        H x W, uint8, or uint16 for a palette of more than 256 colours.

    Raises:
        ValueError: a pixel has a colour that is not in the palette.
    """
    known = pack(palette)
    order = np.argsort(known, kind='stable')
    places = np.searchsorted(known[order], colours).clip(max=len(known) - 1)
    strange = known[order][places] != colours
    if strange.any():
        found, counts = np.unique(colours[strange], return_counts=True)
        most = np.argsort(-counts)[:SHOWN]
        listed = ', '.join(f'{c} ({n} pixels)' for c, n in zip(unpack(found[most]), counts[most], strict=True))
        rest = f' and {len(found) - SHOWN} more' if len(found) > SHOWN else ''
        raise ValueError(
            f"annotation '{path}' has colours [r, g, b] that metainfo.label_palette does not name: {listed}{rest}. Add "
            'them at its end and let label_map lead them to a class or to -1, ignored. Very many colours close to each '
            'other come from JPEG or from resizing: take the files from before that'
        )
    return order.astype(np.uint8 if len(known) <= 256 else np.uint16)[places]
