"""The last step of a pipeline: from a dict of arrays to what a model takes."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import PixelData

from mmseg.registry import TRANSFORMS
from mmseg.structures import SegDataSample

from .base import Transform, require


@TRANSFORMS.register_module()
class PackSegInputs(Transform):
    """Pack a sample as ``dict(inputs=..., data_samples=...)``.

    ``inputs`` is the image as a C x H x W tensor of its own type (uint8, BGR), C = 1 for grey.
    ``data_samples`` is a :class:`SegDataSample` with ``gt_sem_seg`` (1 x H x W, int64) where there is an
    annotation, ``gt_edge_map`` alike where there is one, and the meta information named in ``meta_keys`` as far as it
    exists.

    Args:
        meta_keys: Keys of ``results`` to keep as meta information.

    Raises:
        ValueError: the annotation is not H x W.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = (
            'img_path',
            'seg_map_path',
            'ori_shape',
            'img_shape',
            'pad_shape',
            'scale_factor',
            'flip',
            'flip_direction',
            'reduce_zero_label',
        ),
    ) -> None:
        require(
            not isinstance(meta_keys, str),
            f'PackSegInputs: meta_keys is a sequence of names, not the one name {meta_keys!r}.',
        )
        self.meta_keys = meta_keys

    def transform(self, results: dict) -> dict:
        packed = {}
        if 'img' in results:
            img = results['img']
            if img.ndim == 2:
                img = img[..., None]
            packed['inputs'] = torch.from_numpy(np.array(img.transpose(2, 0, 1), order='C'))

        sample = SegDataSample()
        if results.get('gt_seg_map') is not None:
            labels = results['gt_seg_map']
            if labels.ndim != 2:
                raise ValueError(f"the annotation of '{results.get('img_path')}' has shape {labels.shape}, not H x W.")
            data = torch.from_numpy(np.ascontiguousarray(labels[None], dtype=np.int64))
            sample.gt_sem_seg = PixelData(data=data)
        if results.get('gt_edge_map') is not None:
            if results['gt_edge_map'].shape != results['img'].shape[:2]:
                raise ValueError(
                    f"gt_edge_map of '{results.get('img_path')}' has another size than the image: GenerateEdge comes "
                    'after Resize and Pad'
                )
            data = torch.from_numpy(np.ascontiguousarray(results['gt_edge_map'][None], dtype=np.int64))
            sample.set_field(PixelData(data=data), 'gt_edge_map', dtype=PixelData)
        sample.set_metainfo({key: results[key] for key in self.meta_keys if key in results})
        packed['data_samples'] = sample
        return packed
