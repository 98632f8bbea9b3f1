"""Each sample's random numbers, drawn from where it stands in the stream and nothing else."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import Dataset

from mmseg.registry import DATASETS


class SampleIndex(int):
    """An index into a dataset that knows its position in the stream, and the stream's seed.

    Args:
        index: the index, which this is to everyone who does not ask for more.
        position: in the stream that all processes share, counted from the start of training.
        seed: of the stream.
    """

    def __new__(cls, index: int, position: int, seed: int) -> 'SampleIndex':
        self = super().__new__(cls, index)
        self.position, self.seed = position, seed
        return self

    def __reduce__(self) -> tuple:
        return SampleIndex, (int(self), self.position, self.seed)


@DATASETS.register_module()
class SeededSamples(Dataset):
    """A dataset whose random augmentations depend on (seed, position in the stream, index) alone.

    So they are the same for any number of workers and processes, and in a resumed run, at no cost on the way
    there. Python's, NumPy's and torch's (CPU) generators are seeded for each sample and are afterwards as they
    were before: without workers they are the main process's own. Plain indices, as from samplers that do not
    say the position, get their samples as ever.

    The training loop's dataset is wrapped in this; all its other attributes show through.

    Args:
        dataset: the dataset, or its config.
    """

    def __init__(self, dataset: Dataset | dict) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset

    def full_init(self) -> None:
        """Let the dataset finish its own preparations, where it has any."""
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int):
        if not isinstance(index, SampleIndex):
            return self.dataset[index]
        with _seeded(index.seed, index.position, int(index), SAMPLE):
            return self.dataset[int(index)]

    def __getattr__(self, name: str):
        # Unpickling asks before there is a dataset; and data loaders would take its __getitems__ past the seeding.
        if name == 'dataset' or name.startswith('__'):
            raise AttributeError(name)
        return getattr(self.dataset, name)


# The last number of a seed's entropy, so that no two kinds of streams are ever the same.
SAMPLE, PROCESS = 1, 2


def seed_generators(*entropy: int, cuda: bool = True) -> None:
    """Seed Python's, NumPy's and torch's generators from several numbers, mixed well.

    Args:
        entropy: whole numbers of at least 0.
        cuda: torch's generators on CUDA as well as the one on the CPU.
    """
    state = np.random.SeedSequence(entropy).generate_state(4)
    random.seed(int(state[0]))
    np.random.seed(state[1:3])
    if cuda:
        torch.manual_seed(int(state[3]))
    else:
        torch.default_generator.manual_seed(int(state[3]))


@contextmanager
def _seeded(*entropy: int) -> Iterator[None]:
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_generators(*entropy, cuda=False)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
