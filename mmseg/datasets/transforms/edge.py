import cv2
import numpy as np

from mmseg.registry import TRANSFORMS

from .base import Transform, is_positive_int, require

# Of each pair of neighbours, (row, column) from the pixel that is marked to the other.
NEIGHBOURS = ((-1, 0), (0, 1), (1, 1), (1, -1))


@TRANSFORMS.register_module()
class GenerateEdge(Transform):
    """Adds ``gt_edge_map``, H x W uint8: 1 where the annotation's classes meet, 0 elsewhere.

    A boundary with ignored pixels is none. It comes after mmcv's ``Resize`` and ``Pad``, which know ``gt_seg_map``
    only; other steps move it along, and :class:`PackSegInputs` packs it.

    Args:
        edge_width: Width of an edge in pixels.
        ignore_index: Label of ignored pixels.
    """

    def __init__(self, edge_width: int = 3, ignore_index: int = 255) -> None:
        require(is_positive_int(edge_width), f'GenerateEdge: edge_width is a positive integer, not {edge_width!r}.')
        self.edge_width = edge_width
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        labels = results['gt_seg_map']
        height, width = labels.shape
        edge = np.zeros((height, width), np.uint8)
        for down, right in NEIGHBOURS:
            here = slice(max(-down, 0), height - max(down, 0)), slice(max(-right, 0), width - max(right, 0))
            there = slice(max(down, 0), height - max(-down, 0)), slice(max(right, 0), width - max(-right, 0))
            one, other = labels[here], labels[there]
            edge[here] |= (one != other) & (one != self.ignore_index) & (other != self.ignore_index)
        results['gt_edge_map'] = cv2.dilate(edge, np.ones((self.edge_width, self.edge_width), np.uint8))
        if 'gt_edge_map' not in results.setdefault('seg_fields', []):
            results['seg_fields'] = [*results['seg_fields'], 'gt_edge_map']
        return results
