"""Random images and labels for the property tests of the transforms."""

import numpy as np
from hypothesis import strategies as st

SIDES = st.integers(1, 200)
SEEDS = st.integers(0, 2**32 - 1)


def coded_sample(height: int, width: int, seed: int, block: int = 1) -> dict:
    """A sample whose image shows its labels in every channel; all label values 0 to 255 may occur."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (-(-height // block), -(-width // block)), dtype=np.uint8)
    labels = np.kron(coarse, np.ones((block, block), np.uint8))[:height, :width]
    return dict(
        img=np.dstack([labels] * 3),
        img_shape=(height, width),
        ori_shape=(height, width),
        gt_seg_map=labels.copy(),
        seg_fields=['gt_seg_map'],
    )


def assert_aligned(results: dict) -> None:
    """The image still shows the labels, and ``img_shape`` is right."""
    assert results['img'].dtype == results['gt_seg_map'].dtype == np.uint8
    assert results['img_shape'] == results['img'].shape[:2]
    for channel in range(3):
        np.testing.assert_array_equal(results['img'][..., channel], results['gt_seg_map'])
