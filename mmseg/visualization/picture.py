"""What to draw a sample's labels on."""

from collections.abc import Mapping

import mmcv
import mmengine.fileio
import numpy as np
from torch import Tensor

from mmseg.structures import SegDataSample
from mmseg.utils.image_file import read_image


def picture_of(
    sample: SegDataSample | Mapping, size: tuple[int, int], inputs: Tensor, backend_args: dict | None = None
) -> np.ndarray:
    """The image of a sample as H x W x 3, RGB, uint8.

    It is read from the image's file; data that has none (drawn by the program, or an array) is taken from ``inputs``.

    Args:
        sample: its ``img_path`` and ``img_shape``.
        size: H x W of the picture.
        inputs: what the network was given, channels x h x w.
        backend_args: how to read files that are not on a local disk (mmengine's file backends).
    """
    path = sample.get('img_path')
    if path and mmengine.fileio.exists(path, backend_args=backend_args):
        image = mmcv.bgr2rgb(read_image(path, sample.get('seg_map_path'), backend_args=backend_args))
    else:
        colours = inputs[: 3 if len(inputs) >= 3 else 1]  # of images of other channels, what can be shown
        image = mmcv.bgr2rgb(colours.clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy())
        # What lies beyond img_shape was padded.
        height, width = sample.get('img_shape') or image.shape[:2]
        image = image[:height, :width]
    if image.shape[:2] != tuple(size):
        image = mmcv.imresize(image, (size[1], size[0]))
    return np.ascontiguousarray(image)
