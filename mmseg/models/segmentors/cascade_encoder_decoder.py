"""A segmentor whose heads refine each other's scores, one after the other."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils.errors import require

from .base import prefixed
from .encoder_decoder import EncoderDecoder


class HeadCascade(nn.ModuleList):
    """Heads of which each but the first takes the scores of the one before as second input."""

    num_classes = property(lambda self: self[-1].num_classes)
    align_corners = property(lambda self: self[-1].align_corners)
    threshold = property(lambda self: self[-1].threshold)
    out_channels = property(lambda self: self[-1].out_channels)

    def scores(self, maps: Sequence[Tensor]) -> Iterator[Tensor]:
        """The heads' scores in turn."""
        first, *others = self
        x = first(maps)
        yield x
        for head in others:
            x = head(maps, x)
            yield x

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        *_, last = self.scores(maps)
        return last


@MODELS.register_module()
class CascadeEncoderDecoder(EncoderDecoder):
    """EncoderDecoder with several decode heads, whose last one predicts; all are trained.

    Args:
        num_stages: how many heads there are.
        decode_head: their configs.
        others: as for :class:`EncoderDecoder`.
    """

    def __init__(self, num_stages: int, backbone: dict, decode_head: Sequence[dict], **others) -> None:
        require(
            isinstance(decode_head, (list, tuple)) and len(decode_head) == num_stages,
            f'CascadeEncoderDecoder: decode_head must be a list of num_stages={num_stages} configs',
        )
        self.num_stages = num_stages
        super().__init__(backbone=backbone, decode_head=decode_head, **others)

    def _build_head(self, cfg: dict | Sequence[dict]) -> nn.Module:
        if isinstance(cfg, dict):
            return super()._build_head(cfg)
        return HeadCascade([super(CascadeEncoderDecoder, self)._build_head(head) for head in cfg])

    def _decode_losses(self, maps: Sequence[Tensor], data_samples: list[SegDataSample]) -> dict:
        losses = {}
        for i, (head, scores) in enumerate(zip(self.decode_head, self.decode_head.scores(maps), strict=True)):
            losses |= prefixed(f'decode_{i}', head.loss_by_feat(scores, data_samples))
        return losses
