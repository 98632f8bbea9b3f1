import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg.engine.runner import plan_batch


@given(per_process=st.integers(1, 64), processes=st.integers(1, 16), limit=st.integers(1, 80))
def test_the_global_batch_is_kept_and_the_limit_respected(per_process, processes, limit):
    plan = plan_batch(dict(global_batch_size=per_process * processes), processes, limit)
    assert plan.global_batch == per_process * processes
    assert plan.per_step <= limit
    assert not any(plan.per_step < d <= limit for d in range(1, per_process + 1) if per_process % d == 0)


def test_it_reads_as_a_sentence():
    assert (
        str(plan_batch(dict(global_batch_size=16), 2, 5))
        == 'global batch 16 = 2 processes x 4 images x 2 accumulation steps'
    )
    assert str(plan_batch(dict(batch_size=1), 1)) == 'global batch 1 = 1 process x 1 image x 1 accumulation step'


def test_batch_size_is_per_process():
    assert plan_batch(dict(batch_size=3), 4).global_batch == 12


@pytest.mark.parametrize(
    ('dataloader', 'processes', 'limit', 'message'),
    [
        (dict(global_batch_size=12), 5, None, '12 cannot be divided among 5 processes.*work: 1, 2, 3, 4, 6, 12'),
        (dict(global_batch_size=12, batch_size=3), 1, None, 'states global_batch_size and batch_size'),
        (dict(), 1, None, 'states neither'),
        (dict(global_batch_size=0), 1, None, 'global_batch_size must be a whole number of at least 1, not 0'),
        (dict(batch_size='4'), 1, None, "batch_size must be a whole number of at least 1, not '4'"),
        (dict(global_batch_size=4), 1, 0, 'batch_per_gpu must be a whole number of at least 1, not 0'),
    ],
)
def test_what_does_not_work_is_refused(dataloader, processes, limit, message):
    with pytest.raises(ValueError, match=message):
        plan_batch(dataloader, processes, limit)
