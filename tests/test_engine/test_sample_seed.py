import pickle
import random
from itertools import islice

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from mmseg.engine.samplers import InfiniteSampler, SampleIndex, SeededSamples


class Noise(Dataset):
    """What its pipeline draws from the three generators."""

    name = 'noise'

    def __len__(self):
        return 5

    def __getitem__(self, index):
        assert type(index) is int
        return index, random.random(), np.random.rand(), torch.rand(()).item()


def samples(count=12, start=0, workers=0, seed=1, batch_size=2):
    dataset = SeededSamples(Noise())
    sampler = InfiniteSampler(dataset, seed=seed)
    sampler.seek(start)
    loader = DataLoader(dataset, batch_size, sampler=sampler, num_workers=workers, collate_fn=list)
    return [sample for batch in islice(loader, count // batch_size) for sample in batch]


def test_a_sample_depends_on_its_position_alone():
    whole = samples()
    assert samples(workers=2) == whole == samples(batch_size=3)
    assert samples(count=6, start=6) == whole[6:]
    assert samples(seed=2) != whole


def test_each_visit_to_an_image_draws_anew():
    drawn = [sample[1:] for sample in samples(count=30)]
    assert len(set(drawn)) == 30


def test_the_generators_of_the_process_go_on_undisturbed():
    def draw():
        return random.random(), np.random.rand(), torch.rand(()).item()

    def seeded():
        random.seed(0), np.random.seed(0), torch.manual_seed(0)

    seeded()
    expected = draw()
    seeded()
    SeededSamples(Noise())[SampleIndex(1, 2, 3)]
    assert draw() == expected
    seeded()
    SeededSamples(Noise())[1]  # a plain index: drawn from the process's own
    assert draw() != expected


def test_the_wrapper_shows_its_dataset_and_survives_pickling():
    dataset = SeededSamples(Noise())
    assert dataset.name == 'noise' and not hasattr(dataset, 'metainfo') and len(dataset) == 5
    assert len(pickle.loads(pickle.dumps(dataset))) == 5
    index = pickle.loads(pickle.dumps(SampleIndex(4, 9, 7)))
    assert (index, index.position, index.seed) == (4, 9, 7)
    subset = SeededSamples(Subset(Noise(), [0, 1]))  # has __getitems__, by which loaders would pass the seeding
    assert not hasattr(subset, '__getitems__')
