"""What every head that scores each pixel shares: its inputs, its classifier, its loss."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample, build_pixel_sampler
from mmseg.utils.errors import require

from ..losses import accuracy, share_of
from ..losses.accuracy import BINARY_THRESHOLD
from ..losses.resized_scores import is_right, map_over_strips
from ..utils import PretrainedModule, resize
from .binary import check_losses, check_scores


class BaseDecodeHead(PretrainedModule, metaclass=ABCMeta):
    """Scores every pixel of a map: list of B x C_i x H_i x W_i -> B x out_channels x H x W.

    Args:
        in_channels: channels of the maps that ``in_index`` selects; EncoderDecoder fills it in from
            the backbone where a config leaves it out.
        channels: width of the head, which the classifier takes.
        num_classes: classes, 2 or more; the background counts, ignored pixels do not.
        out_channels: scores a pixel: one a class, or 1 for two classes told apart by a sigmoid.
        threshold: with one score, class 1 is where its sigmoid is above this; 0.3 where left out.
        dropout_ratio: dropout before the classifier; none at 0 and below.
        conv_cfg, norm_cfg, act_cfg: layers of the head, as for mmcv's ConvModule.
        in_index: the backbone's maps to take, one index or several; ``IN_INDEX`` where left out.
        input_transform: 'multiple_select' hands the maps over as a list, 'resize_concat' concatenates
            them at the size of the first; None for a single map.
        loss_decode: one loss or several, each logged under its own name.
        ignore_index: label that counts in no loss.
        sampler: which pixels count in the loss, e.g. ``dict(type='OHEMPixelSampler', thresh=0.7)``; None for all.
        align_corners: of every bilinear resize.
    """

    IN_INDEX: int | tuple[int, ...] = -1
    recordable = True

    def __init__(
        self,
        in_channels: int | Sequence[int],
        channels: int,
        *,
        num_classes: int,
        out_channels: int | None = None,
        threshold: float | None = None,
        dropout_ratio: float = 0.1,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = dict(type='ReLU'),  # noqa: B006 (read only)
        in_index: int | Sequence[int] | None = None,
        input_transform: str | None = None,
        loss_decode: dict | Sequence[dict] = dict(type='CrossEntropyLoss'),  # noqa: B006 (read only)
        ignore_index: int = 255,
        sampler: dict | None = None,
        align_corners: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        name = type(self).__name__
        in_index = self.IN_INDEX if in_index is None else in_index
        require(
            input_transform in (None, 'multiple_select', 'resize_concat'),
            f"{name}: input_transform={input_transform!r} is not 'multiple_select', 'resize_concat' or None",
        )
        several = not isinstance(in_index, int)
        require(
            several == (input_transform is not None) == (not isinstance(in_channels, int)),
            f'{name}: in_channels={in_channels}, in_index={in_index} and input_transform={input_transform!r} must '
            'all be about one map, or all about several',
        )
        require(
            not several or len(in_channels) == len(in_index),
            f'{name}: in_channels={in_channels} gives not one number for each of in_index={in_index}',
        )
        out_channels = num_classes if out_channels is None else out_channels
        check_scores(name, num_classes, out_channels, threshold, ignore_index)

        self.in_channels = sum(in_channels) if input_transform == 'resize_concat' else in_channels
        self.channels = channels
        self.num_classes, self.out_channels = num_classes, out_channels
        self.threshold = BINARY_THRESHOLD if out_channels == 1 and threshold is None else threshold
        self.conv_cfg, self.norm_cfg, self.act_cfg = conv_cfg, norm_cfg, act_cfg
        self.in_index = in_index
        self.input_transform = input_transform
        self.ignore_index = ignore_index
        self.align_corners = align_corners

        losses = [loss_decode] if isinstance(loss_decode, dict) else list(loss_decode)
        losses = nn.ModuleList(MODELS.build(loss) for loss in losses)
        if out_channels == 1:
            check_losses(name, losses, ignore_index)
        self.loss_decode = losses[0] if isinstance(loss_decode, dict) else losses
        self.sampler = build_pixel_sampler(sampler, context=self) if sampler else None
        self.dropout = nn.Dropout2d(dropout_ratio) if dropout_ratio > 0 else None
        self.conv_seg = nn.Conv2d(channels, out_channels, 1)
        nn.init.normal_(self.conv_seg.weight, std=0.01)
        nn.init.zeros_(self.conv_seg.bias)

    @classmethod
    def follow_backbone(cls, cfg: dict, backbone: nn.Module) -> dict:
        """Returns ``cfg`` with ``in_channels`` taken from the backbone's ``out_channels`` where it is left out."""
        return with_in_channels(cls, cfg, backbone)

    @abstractmethod
    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """The backbone's maps -> scores, B x out_channels x H x W."""

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: list[SegDataSample], train_cfg: dict) -> dict:
        """The backbone's maps and the annotations -> the losses by name."""
        return self.loss_by_feat(self.forward(inputs), batch_data_samples)

    def predict(self, inputs: Sequence[Tensor], batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """The backbone's maps -> scores at the network's input size, B x out_channels x H x W."""
        return self.predict_by_feat(self.forward(inputs), batch_img_metas)

    def predict_by_feat(self, seg_logits: Tensor, batch_img_metas: list[dict]) -> Tensor:
        meta = batch_img_metas[0]
        size = meta.get('pad_shape') or meta['img_shape']
        return resize(seg_logits, size=size[:2], align_corners=self.align_corners)

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list[SegDataSample]) -> dict:
        label = stack_labels(batch_data_samples)
        parts = list(self.loss_decode) if isinstance(self.loss_decode, nn.ModuleList) else [self.loss_decode]
        losses = {}
        in_strips = [self.sampler is None and getattr(loss, 'resizes', False) for loss in parts]
        full = weight = right = None
        if not all(in_strips):
            full = resize(seg_logits, size=label.shape[-2:], align_corners=self.align_corners)
            weight = None if self.sampler is None else self.sampler.sample(full, label[:, None])
        for loss, strips in zip(parts, in_strips, strict=True):
            if strips:
                value, found = loss.of_coarse(seg_logits, label, self.ignore_index, self.align_corners)
                right = found if right is None else right
            else:
                value = loss(full, label, weight=weight, ignore_index=self.ignore_index)
            losses[loss.loss_name] = losses.get(loss.loss_name, 0) + value
        losses['acc_seg'] = self._accuracy(seg_logits, full, right, label)
        return losses

    @torch.no_grad()
    def _accuracy(self, seg_logits: Tensor, full: Tensor | None, right: Tensor | None, label: Tensor) -> Tensor:
        """Percentage of right pixels, by what the losses have left of the scores at the size of the labels."""
        if self.out_channels == 1:
            full = resize(seg_logits, size=label.shape[-2:], align_corners=self.align_corners) if full is None else full
            return accuracy(full, label, ignore_index=self.ignore_index, binary_threshold=self.threshold)
        if full is not None:
            return accuracy(full, label, ignore_index=self.ignore_index)
        if right is None:
            right = map_over_strips(is_right, seg_logits.float(), label, self.align_corners)
        return share_of(right, label != self.ignore_index)

    def cls_seg(self, x: Tensor) -> Tensor:
        return self.conv_seg(x if self.dropout is None else self.dropout(x))

    def _transform_inputs(self, inputs: Sequence[Tensor]) -> Tensor | list[Tensor]:
        if self.input_transform is None:
            return inputs[self.in_index]
        maps = [inputs[i] for i in self.in_index]
        return self.resize_concat(maps) if self.input_transform == 'resize_concat' else maps

    def resize_concat(self, maps: Sequence[Tensor]) -> Tensor:
        """Concatenates maps at the size of the first."""
        size = maps[0].shape[-2:]
        return torch.cat([resize(x, size=size, align_corners=self.align_corners) for x in maps], dim=1)


def with_in_channels(head: type, cfg: dict, backbone: nn.Module) -> dict:
    """Returns a head's ``cfg`` with ``in_channels`` of the backbone's maps at ``in_index``, where it is left out."""
    if 'in_channels' in cfg or not hasattr(backbone, 'out_channels'):
        return cfg
    in_index = cfg.get('in_index', head.IN_INDEX)
    indices = [in_index] if isinstance(in_index, int) else in_index
    count = len(backbone.out_channels)
    if any(not -count <= i < count for i in indices):
        raise ValueError(
            f'{head.__name__}: in_index={in_index}, but the backbone gives {count} maps; correct in_index, '
            "or the backbone's out_indices"
        )
    channels = [backbone.out_channels[i] for i in indices]
    return {**cfg, 'in_channels': channels[0] if isinstance(in_index, int) else channels}


def stack_labels(batch_data_samples: Sequence[SegDataSample]) -> Tensor:
    """The annotations of a batch, B x H x W."""
    return torch.stack([sample.gt_sem_seg.data for sample in batch_data_samples]).squeeze(1)
