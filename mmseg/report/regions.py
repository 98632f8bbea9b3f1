"""Where in an image errors are: how far from borders, and on objects of which size.

Distances are chessboard distances, those that erosion by 3x3 squares counts.
"""

import cv2
import numpy as np

BORDER = 0.02  # of the image's diagonal: the width of Boundary IoU's band (Cheng et al., CVPR 2021)
BANDS = (1, 2, 4, 8, 16, 32)  # pixels from a border of the annotation; what is farther is the last band
SIDES = (16, 32, 64, 128, 256)  # sides of squares whose areas part objects by size


def to_other_class(labels: np.ndarray) -> np.ndarray:
    """How many pixels it is to the nearest pixel of another label, H x W float32; large where there is none."""
    labels = labels.astype(np.float32)  # what OpenCV's filters take, and exact for labels
    square = np.ones((3, 3), np.uint8)
    edge = cv2.dilate(labels, square) != cv2.erode(labels, square)
    if not edge.any():
        return np.full(labels.shape, sum(labels.shape), np.float32)
    return cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_C, 3) + 1


def to_frame(shape: tuple[int, int]) -> np.ndarray:
    """How many pixels it is out of an image of H x W."""
    rows, columns = (np.minimum(np.arange(side) + 1, side - np.arange(side)) for side in shape)
    return np.minimum(rows[:, None], columns[None])


def border_counts(label: np.ndarray, pred: np.ndarray, known: np.ndarray, classes: int) -> np.ndarray:
    """What Boundary IoU is made of: hit, annotated and predicted pixels by class, 3 x C, within bands of borders.

    As published, the frame of the image is a border, too; so is that of an ignored area, whose pixels do not count.
    """
    width = max(1, round(BORDER * float(np.hypot(*label.shape))))
    frame = to_frame(label.shape)
    near = [known & (np.minimum(to_other_class(map_), frame) <= width) for map_ in (label, pred)]
    return _counts(label, pred, near[0], near[1], classes)


def band_counts(label: np.ndarray, pred: np.ndarray, known: np.ndarray, classes: int) -> np.ndarray:
    """Hit, annotated and predicted pixels by class within each of ``BANDS`` and beyond, (bands + 1) x 3 x C."""
    band = np.searchsorted(BANDS, to_other_class(label))
    inside = [known & (band == i) for i in range(len(BANDS) + 1)]
    return np.stack([_counts(label, pred, pixels, pixels, classes) for pixels in inside])


def size_counts(label: np.ndarray, pred: np.ndarray, known: np.ndarray, classes: int) -> np.ndarray:
    """Of the annotated regions of each size and class: hit pixels, pixels, regions hit by half, regions.

    Returns:
        (sizes + 1) x 4 x C, int64. A region is connected, by sides or corners; its size is its area.
    """
    counts = np.zeros((len(SIDES) + 1, 4, classes), np.int64)
    for index in np.unique(label[known]):
        mask = known & (label == index)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        regions, ids = cv2.connectedComponents(mask[box].astype(np.uint8), connectivity=8)
        areas = np.bincount(ids.ravel(), minlength=regions)[1:]
        hits = np.bincount(ids[pred[box] == index], minlength=regions)[1:]
        size = np.searchsorted(np.square(SIDES), areas, side='right')
        for i, values in enumerate((hits, areas, 2 * hits >= areas, np.ones_like(areas))):
            np.add.at(counts[:, i, index], size, values)
    return counts


def _counts(label: np.ndarray, pred: np.ndarray, of_label: np.ndarray, of_pred: np.ndarray, classes: int) -> np.ndarray:
    hit = label[of_label & of_pred & (label == pred)]
    return np.stack([np.bincount(map_, minlength=classes) for map_ in (hit, label[of_label], pred[of_pred])])
