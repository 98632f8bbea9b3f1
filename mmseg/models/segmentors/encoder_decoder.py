"""The segmentor: backbone -> neck -> decode head, its losses and its inference."""

import logging
from collections.abc import Sequence

from mmengine.logging import print_log
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from .base import BaseSegmentor, prefixed


@MODELS.register_module()
class EncoderDecoder(BaseSegmentor):
    """A backbone with a decode head on it.

    By mode (see :class:`~mmseg.models.segmentors.base.BaseSegmentor`) 'tensor' gives what the head's ``forward`` does.

    Args:
        backbone, neck, decode_head: configs. The head's ``in_channels`` follow from the backbone
            where its config leaves them out.
        auxiliary_head: one config or several of heads that only train.
        train_cfg: handed to the heads.
        test_cfg: ``mode`` 'whole', or 'slide' with ``crop_size`` and ``stride`` (height, width);
            ``return_scores`` keeps the scores at image size as ``seg_logits`` (see :class:`SegDataSample`);
            ``streamed=False`` computes labels from whole score maps, the same labels at many times the memory.
        data_preprocessor: config; mmengine's plain one where left out.
        pretrained: a file, short for the backbone's ``init_cfg=dict(type='Pretrained', checkpoint=FILE)``.
        freeze: paths of the parts that do not learn, such as 'backbone.stages.0': their parameters and running
            statistics stay, and their dropout is off. ``*`` stands for anything.
    """

    def __init__(
        self,
        backbone: dict,
        decode_head: dict,
        neck: dict | None = None,
        auxiliary_head: dict | Sequence[dict] | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
        freeze: Sequence[str] = (),
    ) -> None:
        super().__init__(data_preprocessor, test_cfg, init_cfg)
        if pretrained is not None:
            if backbone.get('init_cfg'):
                raise ValueError(f'EncoderDecoder: pretrained={pretrained!r} and backbone.init_cfg exclude each other')
            backbone = {**backbone, 'init_cfg': dict(type='Pretrained', checkpoint=pretrained)}
        self.backbone = MODELS.build(backbone)
        self.with_neck = neck is not None
        if self.with_neck:
            self.neck = MODELS.build(neck)
        if not self.with_neck:
            decode_head, auxiliary_head = _drop_unread_maps(self.backbone, decode_head, auxiliary_head)
        self.decode_head = self._build_head(decode_head)
        self.with_auxiliary_head = auxiliary_head is not None
        if self.with_auxiliary_head:
            several = not isinstance(auxiliary_head, dict)
            heads = [self._build_head(head) for head in (auxiliary_head if several else [auxiliary_head])]
            self.auxiliary_head = nn.ModuleList(heads) if several else heads[0]
        self.train_cfg = train_cfg
        self.complete(freeze)

    def _build_head(self, cfg: dict) -> nn.Module:
        head = _class_of(cfg)
        source = self.neck if self.with_neck else self.backbone
        return MODELS.build(head.follow_backbone(cfg, source) if hasattr(head, 'follow_backbone') else cfg)

    @property
    def predicts_masks(self) -> bool:
        return hasattr(self.decode_head, 'segments')

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        # After model.half() and its kind; the preprocessor gives float32, a user whatever there is.
        dtype = next((p.dtype for p in self.backbone.parameters() if p.is_floating_point()), inputs.dtype)
        maps = self.backbone(inputs.to(dtype))
        return self.neck(maps) if self.with_neck else maps

    def _forward(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> Tensor:
        return self.decode_head(self.extract_feat(inputs))

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict:
        maps = self.extract_feat(inputs)
        losses = self._decode_losses(maps, data_samples)
        if self.with_auxiliary_head:
            several = isinstance(self.auxiliary_head, nn.ModuleList)
            for i, head in enumerate(self.auxiliary_head if several else [self.auxiliary_head]):
                losses |= prefixed(f'aux_{i}' if several else 'aux', head.loss(maps, data_samples, self.train_cfg))
        return losses

    def _decode_losses(self, maps: Sequence[Tensor], data_samples: list[SegDataSample]) -> dict:
        return prefixed('decode', self.decode_head.loss(maps, data_samples, self.train_cfg))

    def _scores(self, inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        maps = self.extract_feat(inputs)
        return self.decode_head.segments(maps) if self.predicts_masks else self.decode_head(maps)


def _class_of(cfg: dict) -> type:
    return MODELS.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']


def _drop_unread_maps(backbone: nn.Module, *heads: dict | Sequence[dict] | None) -> Sequence:
    """Drops the backbone's last maps that no head reads, and what computes them; returns the heads' configs.

    Parameters that get no gradient would cost memory, and processes that train together would wait for them.
    """
    count = len(getattr(backbone, 'out_channels', ()))

    def in_index(head: dict) -> int | list[int] | None:
        """Counted from the front."""
        index = head.get('in_index')
        index = getattr(_class_of(head), 'IN_INDEX', None) if index is None else index
        if index is None or isinstance(index, int):
            return index + count if index is not None and index < 0 else index
        return [i + count if i < 0 else i for i in index]

    each = [head for group in heads if group for head in ([group] if isinstance(group, dict) else group)]
    indices = [in_index(head) for head in each]
    if not count or None in indices:
        return heads
    read = [i for index in indices for i in ([index] if isinstance(index, int) else index)]
    last = max(read)
    if min(read) < 0 or last >= count - 1:
        return heads
    maps = f"{count - 1 - last} of the backbone's {count} maps are read by no head"
    if not hasattr(backbone, 'keep_maps'):
        print_log(f'{maps}: leave them out of its out_indices', logger='current', level=logging.WARNING)
        return heads
    print_log(f'{maps}, and are not computed', logger='current')
    backbone.keep_maps(last + 1)

    def from_front(group: dict | Sequence[dict] | None):
        if isinstance(group, dict):
            return {**group, 'in_index': in_index(group)}
        return group and [from_front(head) for head in group]

    return [from_front(group) for group in heads]
