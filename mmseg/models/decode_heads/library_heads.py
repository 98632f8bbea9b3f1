"""What a network of another library needs of a head: its scores are there, their training is ours."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmseg.registry import MODELS

from .decode_head import BaseDecodeHead


@MODELS.register_module()
class ScoresHead(BaseDecodeHead):
    """Takes the last of its inputs for the scores, B x out_channels x H x W: losses, and what labels mean.

    Args:
        num_classes: classes, 2 or more.
        out_channels, threshold, loss_decode, ignore_index, sampler, align_corners: as for :class:`BaseDecodeHead`.
    """

    recordable = False  # there is nothing to record

    def __init__(
        self,
        *,
        num_classes: int,
        out_channels: int | None = None,
        threshold: float | None = None,
        loss_decode: dict | Sequence[dict] = dict(type='CrossEntropyLoss'),  # noqa: B006 (read only)
        ignore_index: int = 255,
        sampler: dict | None = None,
        align_corners: bool = False,
    ) -> None:
        super().__init__(
            in_channels=1,
            channels=1,
            num_classes=num_classes,
            out_channels=out_channels,
            threshold=threshold,
            dropout_ratio=0,
            loss_decode=loss_decode,
            ignore_index=ignore_index,
            sampler=sampler,
            align_corners=align_corners,
        )
        del self.conv_seg  # the network has its own

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[-1]


@MODELS.register_module()
class SegmentsHead(nn.Module):
    """Label maps as the segments that a network with queries learns by a loss of its own.

    Args:
        num_classes: classes, 2 or more.
        ignore_index: label that is no class.
    """

    align_corners = False

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f'SegmentsHead: num_classes={num_classes}: two or more, as the background is a class too')
        self.num_classes = self.out_channels = num_classes
        self.ignore_index = ignore_index

    def forward(self, labels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """B x H x W -> of each image the masks of the classes present, S x H x W of 0 and 1, and these classes, S."""
        classes = [torch.unique(label[label != self.ignore_index]) for label in labels]
        masks = [(label == present[:, None, None]).float() for label, present in zip(labels, classes, strict=True)]
        return masks, classes
