"""A head that refines the scores of the head before it."""

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor

from mmseg.structures import SegDataSample

from .decode_head import BaseDecodeHead


class BaseCascadeDecodeHead(BaseDecodeHead):
    """As :class:`BaseDecodeHead`, with the scores of the head before, B x classes x h x w, as second input."""

    @abstractmethod
    def forward(self, inputs: Sequence[Tensor], prev_output: Tensor) -> Tensor:
        """The backbone's maps and the head's before -> scores, B x classes x H x W."""

    def loss(
        self,
        inputs: Sequence[Tensor],
        prev_output: Tensor,
        batch_data_samples: list[SegDataSample],
        train_cfg: dict,
    ) -> dict:
        return self.loss_by_feat(self.forward(inputs, prev_output), batch_data_samples)

    def predict(
        self, inputs: Sequence[Tensor], prev_output: Tensor, batch_img_metas: list[dict], test_cfg: dict
    ) -> Tensor:
        return self.predict_by_feat(self.forward(inputs, prev_output), batch_img_metas)
