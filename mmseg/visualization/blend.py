"""Class colours over a picture."""

import cv2
import numpy as np


def blend(image: np.ndarray, labels: np.ndarray, palette: np.ndarray, opacity: float) -> np.ndarray:
    """``palette[labels]`` over an image.

    Args:
        image: H x W x 3, uint8.
        labels: H x W, integers; those that are not in the palette show the image.
        palette: C x 3, uint8, in the image's order of colours.
        opacity: 0 shows the image only, 1 the colours only.

    Returns:
        H x W x 3, uint8.
    """
    is_class = (labels >= 0) & (labels < len(palette))
    colours = palette[np.where(is_class, labels, 0)]
    blended = cv2.addWeighted(image, 1 - opacity, colours, opacity, 0)
    return blended if is_class.all() else np.where(is_class[..., None], blended, image)
