"""What hooks ask a training loop about epochs, also where it is of others."""

from mmengine.runner import BaseLoop, EpochBasedTrainLoop


def counts_epochs(loop: BaseLoop | dict | None) -> bool:
    """Whether a training loop counts epochs rather than iterations."""
    return getattr(loop, 'by_epoch', isinstance(loop, EpochBasedTrainLoop))


def iters_per_epoch(loop: BaseLoop) -> int:
    """Iterations of an epoch; those of the whole run in a loop without epochs."""
    return getattr(loop, 'iters_per_epoch', None) or len(loop.dataloader)
