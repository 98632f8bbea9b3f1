"""CamVid (Brostow et al., 2009) in the 11 classes and the split of the SegNet tutorial."""

from mmseg.registry import DATASETS

from .basesegdataset import BaseSegDataset


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """CamVid with 11 classes. Label 11 of its files is "unlabelled" and ignored.

    Args: those of :class:`BaseSegDataset`.
    """

    METAINFO = {
        'classes': (
            'sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign', 'fence', 'car', 'pedestrian',
            'bicyclist',
        ),
        'palette': [
            [128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222], [128, 128, 0],
            [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0], [0, 128, 192],
        ],
        'label_map': {11: -1},
    }  # fmt: skip

    def __init__(self, img_suffix='.jpg', seg_map_suffix='.png', **kwargs):
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)
