"""What a work dir says about its run."""

import pytest

from mmseg.report.history import read_history

from .work_dir import trained


def test_starts_make_one_run(tmp_path):
    run = read_history(trained(tmp_path / 'run'))
    assert run.train['loss'][0] == [10, 20, 30, 40, 50, 60, 70, 80]  # what came after 40 at first is gone
    assert run.train['lr'][1] == [0.1] * 4 + [0.2] * 4
    assert run.val['mIoU'] == ([40, 80], [20.0, 40.0]) and 'mIoU' not in run.train
    assert (run.iteration, run.length, run.batch, run.seconds_left()) == (80, 100, 8, 10.0)
    first, second = run.starts
    assert (first.resumed, first.changes, second.resumed, second.source) == (0, [], 40, '/runs/iter_40.pth')
    assert second.changes == ['optim_wrapper.optimizer.lr: 0.1 → 0.2', '1 process, then 2']
    assert run.left_out == [(33, 'not finite: loss')]
    assert list(run.pictures) == ['a_b'] and sorted(run.pictures['a_b']) == [40, 80]


def test_no_work_dir(tmp_path):
    with pytest.raises(FileNotFoundError, match='is no work dir of a training'):
        read_history(tmp_path)
