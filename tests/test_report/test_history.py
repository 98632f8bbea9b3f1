"""What a work dir says about its run."""

import json

import pytest

from mmseg.report import write_training_report
from mmseg.report.history import index_of_best, read_history

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


def test_the_best_loss_is_the_lowest():
    assert index_of_best('mIoU', [1.0, 3.0, 2.0]) == 1 and index_of_best('loss', [2.0, 1.0, 3.0]) == 1


def test_no_work_dir(tmp_path):
    with pytest.raises(FileNotFoundError, match='is no work dir of a training'):
        read_history(tmp_path)


def test_a_new_start_in_the_same_folder_begins_anew_and_epochs_have_a_length(tmp_path):
    folder = trained(tmp_path / 'run') / '20260103_000000'
    (folder / 'vis_data').mkdir(parents=True)
    (folder / 'vis_data' / 'scalars.json').write_text(
        '\n'.join(map(json.dumps, [dict(loss=1.0, iter=5, epoch=1, step=5), dict(mIoU=9.0, step=1)]))
    )
    config = "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3)\ntrain_dataloader = dict(batch_size=2)\n"
    (folder / 'vis_data' / 'config.py').write_text(config)
    (folder / 'run.log').write_text('INFO - one epoch is 7 iterations; 2 of 16 images do not fill a batch')
    run = read_history(tmp_path / 'run')
    assert run.train == {'loss': ([5], [1.0])} and run.val == {'mIoU': ([5], [9.0])}
    assert (run.length, run.batch, run.left_out, run.pictures) == (21, 2, [], {})
    assert run.starts[2].changes == [] and len(run.starts) == 3
    write_training_report([tmp_path / 'run'], tmp_path)
