from itertools import islice
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.engine.samplers import InfiniteSampler, infinite_sampler


def stream(size, rank=0, world=1, start=0, count=40, **kwargs):
    with patch.object(infinite_sampler, 'get_dist_info', return_value=(rank, world)):
        sampler = InfiniteSampler(range(size), seed=5, **kwargs)
    sampler.seek(start)
    return list(islice(sampler, count))


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 30), world=st.integers(1, 5), start=st.integers(0, 100))
def test_processes_share_one_stream_wherever_it_is_entered(size, world, start):
    whole = stream(size, count=160)
    shares = [stream(size, rank, world, start, count=10) for rank in range(world)]
    for rank, share in enumerate(shares):
        first = start + (rank - start) % world
        assert share == whole[first : first + 10 * world : world]


def test_each_epoch_has_every_index_once_in_its_own_order():
    indices = stream(12, count=36)
    epochs = [indices[i : i + 12] for i in (0, 12, 24)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_without_shuffling_the_order_is_the_dataset_s():
    assert stream(4, count=10, shuffle=False) == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_neighbouring_seeds_do_not_share_epochs():
    def epochs(seed):
        return {tuple(InfiniteSampler(range(9), seed=seed)._order(epoch)) for epoch in range(5)}

    assert not epochs(1) & epochs(2)


def test_an_empty_dataset_is_refused():
    with pytest.raises(ValueError, match='list is empty'):
        InfiniteSampler([], seed=0)
