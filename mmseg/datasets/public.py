"""The public data sets of ``public_table.py`` as dataset types: ``dict(type='PascalVOCDataset', ...)``.

Those with a module of their own beside this one (ADE20K, Cityscapes, COCO-Stuff, CamVid, the scenes) have recipes here,
too. docs/datasets.md shows the folders of all.
"""

import os.path as osp
from collections.abc import Mapping

from mmseg.registry import DATASETS
from mmseg.utils.text_file import read_data

from .basesegdataset import BaseSegDataset
from .cityscapes import CityscapesDataset
from .public_table import TABLE


class PublicDataset(BaseSegDataset):
    """What the public data sets share: endings and label rules that each knows of itself.

    Args:
        img_suffix, seg_map_suffix, reduce_zero_label: as of :class:`BaseSegDataset`; None for what the data set has.
        kwargs: those of :class:`BaseSegDataset`.
    """

    FACTS: dict = {}

    def __init__(self, img_suffix=None, seg_map_suffix=None, reduce_zero_label=None, **kwargs) -> None:
        facts = self.FACTS
        super().__init__(
            img_suffix=facts.get('img_suffix', '.jpg') if img_suffix is None else img_suffix,
            seg_map_suffix=facts.get('seg_map_suffix', '.png') if seg_map_suffix is None else seg_map_suffix,
            reduce_zero_label=facts.get('reduce_zero_label', False) if reduce_zero_label is None else reduce_zero_label,
            **kwargs,
        )


def _metainfo(facts: Mapping) -> dict:
    """Classes and palette, their own or another's."""
    if 'classes' in facts:
        return {'classes': facts['classes'], 'palette': facts['palette']}
    if 'like' not in facts:
        return {}
    like = facts['like']
    other = CityscapesDataset.METAINFO if like == 'CityscapesDataset' else _metainfo(TABLE[like])
    kept = [
        pair for pair in zip(other['classes'], other['palette'], strict=True) if pair[0] not in facts.get('without', ())
    ]
    classes, palette = zip(*kept, strict=True)
    return {'classes': classes, 'palette': list(palette)}


def _dataset(name: str, facts: Mapping, base: type = PublicDataset) -> type:
    doc = f'{facts["about"]} ({facts["home"]}).\n\n    Args: those of :class:`BaseSegDataset`.\n    '
    body = {'__doc__': doc, '__module__': __name__, 'FACTS': facts, 'METAINFO': _metainfo(facts)}
    return DATASETS.register_module(name=name)(type(name, (base,), body))


class _Decathlon(PublicDataset):
    """Reads ``dataset.json``, which lists files and classes."""

    def __init__(self, ann_file: str, metainfo: Mapping | None = None, data_root: str | None = None, **kwargs) -> None:
        path = ann_file if osp.isabs(ann_file) else osp.join(osp.expanduser(data_root or ''), ann_file)
        self._listed = read_data(path)
        if not isinstance(self._listed, dict) or not {'labels', 'training'} <= set(self._listed):
            raise ValueError(f"{type(self).__name__}: '{path}' must have the keys labels and training")
        names = {int(value): name for value, name in self._listed['labels'].items()}
        if sorted(names) != list(range(len(names))):
            raise ValueError(
                f"{type(self).__name__}: labels {sorted(names)} of '{path}' do not run from 0 without gaps"
            )
        classes = tuple(names[value] for value in range(len(names)))
        super().__init__(
            ann_file=ann_file, metainfo={'classes': classes, **(metainfo or {})}, data_root=data_root, **kwargs
        )

    def load_data_list(self) -> list[dict]:
        """The pairs of "training", relative to ``data_prefix``."""
        image, label = self.data_prefix['img_path'], self.data_prefix.get('seg_map_path')
        return [
            {'img_path': osp.normpath(osp.join(image, pair['image']))}
            | ({} if label is None else {'seg_map_path': osp.normpath(osp.join(label, pair['label']))})
            for pair in self._listed['training']
        ]


PUBLIC = {
    name: _dataset(name, facts, _Decathlon if name == 'DecathlonDataset' else PublicDataset)
    for name, facts in TABLE.items()
}
globals().update(PUBLIC)  # where pickle looks for them
__all__ = ['PublicDataset', *PUBLIC]
