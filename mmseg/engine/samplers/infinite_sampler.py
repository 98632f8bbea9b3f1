"""An endless stream of sample indices that can be entered anywhere."""

import math
from collections.abc import Iterator, Sized

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmseg.registry import DATA_SAMPLERS

from .sample_seed import SampleIndex


@DATA_SAMPLERS.register_module()
class InfiniteSampler(Sampler):
    """Every index of the dataset once per epoch, epoch after epoch, dealt out to the processes in turn.

    Position p of the stream belongs to process p % world_size, so the order of the samples does not depend on
    how many processes there are. Epoch e is shuffled by (seed, e) alone, so any position is reached at once.
    Each index knows its position, from which its augmentation is drawn (:class:`SeededSamples`).

    Args:
        dataset: the dataset, of any size above 0; one smaller than a batch is repeated within it.
        shuffle: a new permutation for each epoch, or the dataset's own order.
        seed: of the permutations; None agrees on a random one among all processes.

    Attributes:
        epoch_length: indices that an epoch deals out, all processes together; fewer than the dataset's where the
            training loop wants whole batches only.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.size = self.epoch_length = len(dataset)
        if self.size == 0:
            raise ValueError(f'{type(dataset).__name__} is empty: there is nothing to train on')
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.position = 0

    def seek(self, position: int) -> None:
        """Make the next iteration start at this position of the stream that all processes share."""
        self.position = position

    def __iter__(self) -> Iterator[SampleIndex]:
        position = self.position + (self.rank - self.position) % self.world_size
        epoch = -1
        while True:
            if position // self.epoch_length != epoch:
                epoch = position // self.epoch_length
                order = self._order(epoch)
            yield SampleIndex(order[position % self.epoch_length], position, self.seed)
            position += self.world_size

    def _order(self, epoch: int) -> list[int]:
        if not self.shuffle:
            return list(range(self.size))
        # Mixed, not added: with seed + epoch, neighbouring seeds would share all but one of their epochs.
        mixed = np.random.SeedSequence([self.seed, epoch]).generate_state(1)
        generator = torch.Generator().manual_seed(int(mixed[0]))
        return torch.randperm(self.size, generator=generator).tolist()

    def __len__(self) -> int:
        """Indices of one epoch that come to one process; iterating does not stop there."""
        return math.ceil(self.epoch_length / self.world_size)
