"""A picture of some pairs, to see with one's own eyes whether labels and images belong together."""

from collections.abc import Sequence

import cv2
import numpy as np

from mmseg.utils.image_file import read_image

from ..transforms.loading import load_label_map
from .classes import Classes
from .survey import Survey

SHOWN = 6
HEIGHT = 240  # of a picture
OPACITY = 0.5
ROW = 22  # of the legend


def preview(paths: Sequence[tuple[str, str]], survey: Survey, classes: Classes) -> np.ndarray:
    """Pairs side by side, the image left and its labels over it right, two a row, with the classes' names below.

    Args:
        paths: image and label map; as many as can be shown are taken from all over.
        survey: how they are read.
        classes: what labels mean.

    Returns:
        H x W x 3, uint8, BGR.
    """
    step = max(1, len(paths) // SHOWN)
    tiles = [_tile(*pair, survey, classes) for pair in list(paths)[::step][:SHOWN]]
    width = max(tile.shape[1] for tile in tiles)
    tiles = [cv2.copyMakeBorder(tile, 0, 0, 0, width - tile.shape[1], cv2.BORDER_CONSTANT) for tile in tiles]
    if len(tiles) % 2 and len(tiles) > 1:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.concatenate(tiles[i : i + 2], axis=1) for i in range(0, len(tiles), 2)]
    picture = np.concatenate(rows)
    return np.concatenate([picture, _legend(classes, picture.shape[1])])


def _tile(image_path: str, label_path: str, survey: Survey, classes: Classes) -> np.ndarray:
    reading = survey.reading
    image = _shown(read_image(image_path, label_path, reading.color_type, reading.image_backend))
    labels = load_label_map(label_path, label_palette=classes.label_palette)
    table = np.array([classes.index(value) for value in range(int(labels.max()) + 1)])
    colours = np.array([*classes.palette, [0, 0, 0]], dtype=np.uint8)[:, ::-1]
    indices = table[labels]
    painted = cv2.addWeighted(image, 1 - OPACITY, np.ascontiguousarray(colours[indices]), OPACITY, 0)
    painted[indices < 0] = image[indices < 0]
    both = np.concatenate([image, painted], axis=1)
    return cv2.resize(both, (max(1, round(both.shape[1] * HEIGHT / len(both))), HEIGHT), interpolation=cv2.INTER_AREA)


def _shown(image: np.ndarray) -> np.ndarray:
    """Three channels of 8 bits of an image of any kind: its first three, stretched."""
    image = image[..., None] if image.ndim == 2 else image
    image = image[..., :3] if image.shape[2] >= 3 else image[..., [0, 0, 0]]
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    low, high = np.nanpercentile(image, (1, 99))
    scaled = (image.astype(np.float32) - low) * (255 / max(high - low, 1e-12))
    return np.ascontiguousarray(np.nan_to_num(scaled).clip(0, 255).astype(np.uint8))


def _legend(classes: Classes, width: int) -> np.ndarray:
    column = 180
    columns = max(1, width // column)
    picture = np.full((ROW * (-(-len(classes.names) // columns)) + 8, width, 3), 255, dtype=np.uint8)
    for number, (name, colour) in enumerate(zip(classes.names, classes.palette, strict=True)):
        x, y = column * (number % columns) + 6, ROW * (number // columns) + 6
        cv2.rectangle(picture, (x, y), (x + 20, y + 14), [int(value) for value in colour[::-1]], -1)
        cv2.rectangle(picture, (x, y), (x + 20, y + 14), (0, 0, 0), 1)
        text = name.encode('ascii', 'replace').decode()[:20]
        cv2.putText(picture, text, (x + 26, y + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return picture
