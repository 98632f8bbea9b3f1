"""What to draw a sample's labels on."""

from collections.abc import Mapping
from contextlib import suppress

import mmcv
import mmengine.fileio
import numpy as np
import torch
from torch import Tensor

from mmseg.structures import SegDataSample
from mmseg.utils.image_file import read_image


def picture_of(
    sample: SegDataSample | Mapping, size: tuple[int, int], inputs: Tensor, backend_args: dict | None = None
) -> np.ndarray:
    """The image of a sample as H x W x 3, RGB, uint8.

    It is read from the image's file; data that has none (drawn by the program, or an array), or one of other channels
    than three, is taken from ``inputs``.

    Args:
        sample: its ``img_path`` and ``img_shape``.
        size: H x W of the picture.
        inputs: what the network was given, channels x h x w.
        backend_args: how to read files that are not on a local disk (mmengine's file backends).
    """
    path, image = sample.get('img_path'), None
    if path and mmengine.fileio.exists(path, backend_args=backend_args):
        with suppress(ValueError):  # an image of many channels, of which the network's input shows some
            image = mmcv.bgr2rgb(read_image(path, sample.get('seg_map_path'), backend_args=backend_args))
    if image is None:
        colours = inputs[: 3 if len(inputs) >= 3 else 1]  # of images of other channels, what can be shown
        image = mmcv.bgr2rgb(_to_8_bits(colours).permute(1, 2, 0).cpu().numpy())
        # What lies beyond img_shape was padded.
        height, width = sample.get('img_shape') or image.shape[:2]
        image = image[:height, :width]
    if image.shape[:2] != tuple(size):
        image = mmcv.imresize(image, (size[1], size[0]))
    return np.ascontiguousarray(image)


def _to_8_bits(image: Tensor) -> Tensor:
    """Values as they are where 8 bits hold them, else stretched from the least to the greatest."""
    if image.dtype == torch.uint8:
        return image
    image = image.float()
    low, high = image.min(), image.max()
    if low < 0 or high > 255 or high <= 1:
        image = (image - low) * (255 / (high - low).clamp(min=1e-12))
    return image.byte()
