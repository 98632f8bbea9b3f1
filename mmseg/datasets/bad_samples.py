"""How many samples of a dataset turned out to be unreadable, over all data loader workers of a process."""

import logging

import torch
from mmengine.logging import print_log


class BadSamples:
    """Which samples could not be read, and the limit to how many may be.

    Workers share it, as it lies in shared memory; so where the limit ends a run does not depend on their number.

    Args:
        limit: how many different samples may be bad.
        total: number of samples.
    """

    def __init__(self, limit: int, total: int):
        self.limit = limit
        # A flag each and no counter: several workers may meet the same sample, in one epoch after another.
        self._flags = torch.zeros(total, dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return int(self._flags.sum())

    def add(self, index: int, error: Exception) -> None:
        """Count the sample and log the error, which names its file, if it is a new one.

        Raises:
            RuntimeError: it is one too many, or no sample is left.
        """
        known = bool(self._flags[index])
        self._flags[index] = True
        count, total = len(self), len(self._flags)
        if count > self.limit or count == total:
            raise RuntimeError(
                f'{count} of {total} samples are unreadable, and max_bad_samples={self.limit} allows no more. '
                f'The last one: {error} `lrformer check` lists all of them.'
            ) from error
        if not known:
            print_log(
                f'bad sample {count} (max_bad_samples={self.limit}), another one takes its place: {error}',
                logger='current',
                level=logging.WARNING,
            )
