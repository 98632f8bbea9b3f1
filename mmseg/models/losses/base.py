"""What losses of score maps have in common."""

from collections.abc import Sequence

from torch import Tensor, nn

from ..layers import from_host
from .utils import checked_reduction, get_class_weight, weight_reduce_loss


class BaseLoss(nn.Module):
    """A loss of scores against a label map; those that take no class weights or no reduction leave them out.

    Args:
        loss_name: the name in the log; what starts with 'loss' takes part in the backward pass.
        loss_weight: factor on the result.
        class_weight: one number a class, or what :func:`.utils.get_class_weight` makes numbers of.
        reduction: 'none', 'mean' or 'sum'.

    Attributes:
        resizes: whether ``of_coarse`` can compute this loss.
    """

    resizes = False

    def __init__(
        self,
        loss_name: str,
        loss_weight: float,
        class_weight: Sequence[float] | str | None = None,
        reduction: str = 'mean',
    ) -> None:
        super().__init__()
        self._loss_name = loss_name
        self.loss_weight = loss_weight
        self.class_weight = get_class_weight(class_weight)
        self.reduction = checked_reduction(reduction)

    @property
    def loss_name(self) -> str:
        """The loss's name in the log."""
        return self._loss_name

    def class_weight_for(self, scores: Tensor, counts: Sequence[int] = ()) -> Tensor | None:
        """The class weights as a tensor like ``scores``, B x C x ...; one of ``counts`` of them, else C."""
        counts = counts or (scores.shape[1],)
        if self.class_weight is None:
            return None
        if isinstance(self.class_weight, str):
            raise ValueError(
                f'class_weight={self.class_weight!r} is counted in the training set when a run of lrformer begins; '
                'elsewhere put mmseg.datasets.class_weights(dataset) in its place'
            )
        if len(self.class_weight) not in counts:
            raise ValueError(
                f'class_weight has {len(self.class_weight)} numbers for {counts[-1]} classes; give one each'
            )
        return from_host(self.class_weight, scores.device, scores.dtype)

    def reduced(
        self,
        loss: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction: str | None = None,
    ) -> Tensor:
        """:func:`.utils.weight_reduce_loss` by this loss's reduction, or the one given, times ``loss_weight``."""
        return self.loss_weight * weight_reduce_loss(loss, weight, reduction or self.reduction, avg_factor)
