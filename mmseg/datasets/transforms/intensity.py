"""Changes of values, not of places; none of them is random."""

from collections.abc import Sequence

import cv2
import mmcv
import numpy as np

from mmseg.registry import TRANSFORMS

from .base import Transform, as_pair, is_number, is_positive_int, require


def _require_bytes(img: np.ndarray, results: dict, transform: str) -> None:
    if img.dtype != np.uint8:
        raise ValueError(
            f"{transform} needs a uint8 image, but '{results.get('img_path')}' is {img.dtype}: put it before what "
            'makes numbers of another type, and load with to_float32=False'
        )


@TRANSFORMS.register_module()
class CLAHE(Transform):
    """Equalise the histogram of each channel of a uint8 image, tile by tile, with limited contrast.

    Args:
        clip_limit: Limit of contrast.
        tile_grid_size: Tiles (across, down).
    """

    def __init__(self, clip_limit: float = 40.0, tile_grid_size: tuple[int, int] = (8, 8)) -> None:
        require(is_number(clip_limit), f'CLAHE: clip_limit is a number, not {clip_limit!r}.')
        tiles = as_pair(tile_grid_size) if isinstance(tile_grid_size, (list, tuple)) else ()
        require(
            len(tiles) == 2 and all(is_positive_int(count) for count in tiles),
            f'CLAHE: tile_grid_size is two positive integers, not {tile_grid_size!r}.',
        )
        self.clip_limit = clip_limit
        self.tile_grid_size = tiles

    def transform(self, results: dict) -> dict:
        img = results['img']
        _require_bytes(img, results, 'CLAHE')
        channels = img[..., None] if img.ndim == 2 else img
        equalised = [
            mmcv.clahe(np.ascontiguousarray(channels[..., i]), self.clip_limit, self.tile_grid_size)
            for i in range(channels.shape[-1])
        ]
        results['img'] = np.stack(equalised, axis=-1).reshape(img.shape)
        return results


@TRANSFORMS.register_module()
class AdjustGamma(Transform):
    """Raise a uint8 image, as shares of 255, to the power of 1 / ``gamma``.

    Args:
        gamma: Above 1 brightens, below 1 darkens.
    """

    def __init__(self, gamma: float = 1.0) -> None:
        require(is_number(gamma) and gamma > 0, f'AdjustGamma: gamma is above 0, not {gamma!r}.')
        self.gamma = gamma

    def transform(self, results: dict) -> dict:
        _require_bytes(results['img'], results, 'AdjustGamma')
        table = (255 * (np.arange(256) / 255) ** (1 / self.gamma)).astype(np.uint8)
        results['img'] = cv2.LUT(results['img'], table).reshape(results['img'].shape)
        return results


@TRANSFORMS.register_module()
class Rerange(Transform):
    """Stretch the image's values such that the lowest is ``min_value`` and the highest ``max_value``; float32.

    An image of one value becomes ``min_value``.

    Args:
        min_value, max_value: See above.
    """

    def __init__(self, min_value: float = 0, max_value: float = 255) -> None:
        numbers = is_number(min_value) and is_number(max_value)
        require(
            numbers and min_value < max_value,
            f'Rerange: min_value={min_value!r} is a number below max_value={max_value!r}.',
        )
        self.min_value, self.max_value = min_value, max_value

    def transform(self, results: dict) -> dict:
        img = results['img'].astype(np.float32)
        low, high = img.min(), img.max()
        share = (img - low) / max(high - low, np.finfo(np.float32).tiny)
        results['img'] = share * np.float32(self.max_value - self.min_value) + np.float32(self.min_value)
        return results


@TRANSFORMS.register_module()
class RGB2Gray(Transform):
    """Take the weighted sum of the image's channels, in as many equal channels as are wanted.

    Args:
        out_channels: How many; None keeps the number.
        weights: Of the channels, in the image's own order, as in mmsegmentation. So for a BGR image, which is what is
            loaded, (0.114, 0.587, 0.299) is the usual luminance, and the default gives blue the weight of red.
    """

    def __init__(self, out_channels: int | None = None, weights: Sequence[float] = (0.299, 0.587, 0.114)) -> None:
        require(
            out_channels is None or is_positive_int(out_channels),
            f'RGB2Gray: out_channels is a positive integer or None, not {out_channels!r}.',
        )
        require(
            isinstance(weights, (list, tuple)) and all(is_number(weight) for weight in weights),
            f'RGB2Gray: weights is a list of numbers, not {weights!r}.',
        )
        self.out_channels = out_channels
        self.weights = tuple(weights)

    def transform(self, results: dict) -> dict:
        img = results['img']
        channels = img.shape[2] if img.ndim == 3 else 1
        if channels != len(self.weights):
            raise ValueError(
                f"RGB2Gray: {len(self.weights)} weights for '{results.get('img_path')}', which has {channels} channels"
            )
        grey = img @ np.array(self.weights, np.float32)
        if img.dtype == np.uint8:
            grey = np.rint(grey).clip(0, 255).astype(np.uint8)
        results['img'] = np.repeat(grey[..., None], self.out_channels or channels, axis=2)
        return results
