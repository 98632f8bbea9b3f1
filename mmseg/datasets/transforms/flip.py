import mmcv
from mmcv.transforms import RandomFlip as _RandomFlip

from mmseg.registry import TRANSFORMS

from .base import Transform, annotation_keys


@TRANSFORMS.register_module()
class RandomFlip(Transform, _RandomFlip):
    """mmcv's, which flips the image and ``gt_seg_map``; all other annotations with them."""

    def _flip(self, results: dict) -> None:
        super()._flip(results)
        for key in annotation_keys(results):
            if key != 'gt_seg_map':
                results[key] = mmcv.imflip(results[key], direction=results['flip_direction'])
