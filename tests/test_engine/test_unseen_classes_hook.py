from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.structures import PixelData

from mmseg.engine.hooks import UnseenClassesHook
from mmseg.structures import SegDataSample


class Images(list):
    metainfo = dict(classes=('background', 'crack', 'hole'))


@pytest.fixture
def warnings(caplog):
    MMLogger.get_instance('test_unseen_classes_hook').addHandler(caplog.handler)
    return lambda: [record.message for record in caplog.records if record.levelname == 'WARNING']


def runner(images=4):
    cfg = SimpleNamespace(filename='configs/cracks.py')
    return SimpleNamespace(train_dataloader=SimpleNamespace(dataset=Images([None] * images)), cfg=cfg)


def batch(*values):
    samples = [SegDataSample() for _ in values]
    for sample, value in zip(samples, values, strict=True):
        label = torch.zeros(1, 16, 16, dtype=torch.int64)
        label[:, 8:] = value
        sample.gt_sem_seg = PixelData(data=label)
    return dict(inputs=[None] * len(values), data_samples=samples)


def test_classes_that_training_never_meets_are_named_once_after_an_epoch(warnings):
    """Masks of 0 and 255 in the training folder only: validation alone would not tell why."""
    hook, run = UnseenClassesHook(), runner()
    hook.before_val_epoch(run)  # validation before any training
    hook.after_train_iter(run, 0, batch(255, 2))
    hook.before_val_epoch(run)  # half an epoch
    assert warnings() == []
    hook.after_train_iter(run, 1, batch(255, 255))
    for _ in range(2):
        hook.before_val_epoch(run)
    (message,) = warnings()
    assert "1 of 3 classes, of which no pixel was found in 4 training images: 'crack'" in message
    assert message.endswith('lrformer check configs/cracks.py')


def test_nothing_is_said_where_all_is_well(warnings):
    hook, run = UnseenClassesHook(), runner(2)
    hook.after_train_iter(run, 0, batch(1, 2))
    hook.before_val_epoch(run)
    hook.after_train_iter(run, 1, [batch(1)])  # batches of another form
    run.train_dataloader.dataset = [1, 2]  # a dataset without classes
    UnseenClassesHook().after_train_iter(run, 0, batch(1))
    assert warnings() == []
