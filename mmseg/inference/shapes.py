"""Label maps as shapes: run lengths as COCO has them, and outlines of regions along the pixels' edges.

An outline's points are corners of pixels, x to the right and y downwards, so that its area is the region's number of
pixels exactly. Pixels of a region touch by their sides.
"""

from dataclasses import dataclass

import cv2
import numpy as np

STEPS = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])  # right, down, left, up, as (y, x)


def run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed RLE, H x W bool -> lengths of runs of 0, 1, 0, ..., column by column."""
    flat = np.asarray(mask, dtype=bool).ravel(order='F')
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def compress(lengths: list[int]) -> str:
    """COCO's compressed RLE: from the fourth length on the difference to the one two before, 5 bits a character."""
    text = []
    for i, length in enumerate(lengths):
        value, more = length - (lengths[i - 2] if i > 2 else 0), True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            text.append(chr(48 + (bits | 32 * more)))
    return ''.join(text)


@dataclass
class Region:
    """A connected region of one class.

    Attributes:
        label: its class.
        pixels: how many.
        box: x, y, width, height.
        outlines: the outer one, then those of its holes; each N x 2 points (x, y), not closed.
    """

    label: int
    pixels: int
    box: tuple[int, int, int, int]
    outlines: list[np.ndarray]


def regions(labels: np.ndarray, classes: list[int], min_pixels: int = 1) -> tuple[list[Region], np.ndarray]:
    """The connected regions of an H x W label map, class by class; smaller ones than ``min_pixels`` are left out.

    Also an H x W map of where they are: 1 for the first one, 0 for none.
    """
    found, ids = [], np.zeros(labels.shape, dtype=np.int32)
    for label in classes:
        count, index, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8), connectivity=4)
        keep = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= min_pixels) + 1
        table = np.zeros(count, dtype=np.int32)
        table[keep] = np.arange(len(found) + 1, len(found) + len(keep) + 1)
        ids += table[index]
        found += [Region(int(label), int(stats[k, cv2.CC_STAT_AREA]), tuple(stats[k, :4].tolist()), []) for k in keep]
    for number, outline in _outlines(ids):
        found[number - 1].outlines.append(outline)
    return found, ids


def _outlines(ids: np.ndarray):
    """The outlines of the regions of an H x W map of numbers (0: none), as pairs of number and points.

    Every side of a pixel towards another region is an edge, and the edges run around a pixel clockwise. Where two
    leave from one point, a region that only touches itself at a corner there is left by turning right.
    """
    H, W = ids.shape
    padded = np.pad(ids, 1)
    inner = padded[1:-1, 1:-1]
    beside = [padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2]]  # above, right, below, left
    exists = np.stack([(inner != other) & (inner > 0) for other in beside])  # 4 x H x W
    side, y, x = np.nonzero(exists)
    number = np.full(exists.shape, -1, dtype=np.int64)
    number[side, y, x] = np.arange(len(side))
    following = np.empty(len(side), dtype=np.int64)
    turns = np.empty(len(side), dtype=bool)
    for direction in range(4):
        here = side == direction
        py, px = y[here], x[here]
        ahead, outward = STEPS[direction], STEPS[direction - 1]
        # After turning right the edge belongs to the same pixel, going straight to the next, turning left to the one
        # diagonally ahead.
        options = [
            (py, px, (direction + 1) % 4),
            (py + ahead[0], px + ahead[1], direction),
            (py + ahead[0] + outward[0], px + ahead[1] + outward[1], (direction + 3) % 4),
        ]
        chosen = np.full(len(py), -1, dtype=np.int64)
        for oy, ox, turned in options:
            inside = (oy >= 0) & (oy < H) & (ox >= 0) & (ox < W)
            cy, cx = oy.clip(0, H - 1), ox.clip(0, W - 1)
            edge = number[turned, cy, cx]
            fits = inside & (chosen < 0) & (edge >= 0) & (ids[cy, cx] == ids[py, px])
            chosen[fits] = edge[fits]
        following[here] = chosen
        turns[here] = side[chosen] != direction
    # From each edge to the next one that ends in a corner: runs of straight ones double until all are passed.
    goal = following.copy()
    while not turns[goal].all():
        goal = np.where(turns[goal], goal, goal[goal])
    end_y, end_x = y + np.array([0, 1, 1, 0])[side], x + np.array([1, 1, 0, 0])[side]
    onward, points = goal.tolist(), np.stack([end_x, end_y], axis=1)
    seen = (~turns).tolist()
    for start in np.flatnonzero(turns).tolist():  # the top row of a region comes first, and with it its outer outline
        if seen[start]:
            continue
        corners, edge = [], start
        while not seen[edge]:
            seen[edge] = True
            corners.append(edge)
            edge = onward[edge]
        yield int(ids[y[start], x[start]]), points[corners]
