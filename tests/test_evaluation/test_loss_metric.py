import pytest
import torch
from mmengine.structures import PixelData

from mmseg.evaluation import LossMetric
from mmseg.models.losses import CrossEntropyLoss, DiceLoss

from ..test_models.test_segmentor import annotated, tiny_segmentor


def predicted(seed, classes=3):
    generator = torch.Generator().manual_seed(seed)
    sample = annotated(torch.randint(max(classes, 2), (5 + seed, 6), generator=generator))
    sample.gt_sem_seg.data[:, 0] = 255
    sample.seg_logits = PixelData(data=torch.randn(classes, 5 + seed, 6, generator=generator))
    return sample


def test_means_over_images_of_any_sizes():
    samples = [predicted(seed) for seed in range(3)]
    config = [
        dict(type='CrossEntropyLoss', loss_weight=0.5),
        dict(type='DiceLoss'),
        dict(type='DiceLoss', loss_name='d'),
    ]
    metric = LossMetric(config, prefix='val')
    assert metric.metric_names == ['val/loss', 'val/loss_ce', 'val/loss_dice', 'val/d']
    for _ in range(2):  # the second round starts from zero
        metric.process(None, samples[:1])
        metric.process(None, [sample.to_dict() for sample in samples[1:]])
        found = metric.evaluate(3)
        pairs = [(sample.seg_logits.data[None], sample.gt_sem_seg.data) for sample in samples]
        ce, dice = (sum(loss(*pair) for pair in pairs) / 3 for loss in (CrossEntropyLoss(), DiceLoss()))
        expected = {'val/loss': ce / 2 + dice, 'val/loss_ce': ce / 2, 'val/loss_dice': dice, 'val/d': dice}
        assert list(found) == metric.metric_names
        assert found == pytest.approx({key: float(value) for key, value in expected.items()}, rel=1e-5)


@pytest.mark.parametrize('out_channels', [3, 1])
def test_it_is_the_loss_of_the_head(out_channels):
    """What a model predicts, with its scores kept, costs what its head says in training."""
    torch.manual_seed(0)
    loss = dict(type='CrossEntropyLoss', use_sigmoid=out_channels == 1)
    head = dict(num_classes=max(out_channels, 2), out_channels=out_channels, loss_decode=loss)
    model = tiny_segmentor(head=head, test_cfg=dict(return_scores=True)).eval()
    image, sample = torch.randn(1, 3, 64, 64), annotated(torch.randint(2, (64, 64)))
    sample.set_metainfo(dict(ori_shape=(64, 64)))
    with torch.no_grad():
        expected = model(image, [sample], mode='loss')['decode.loss_ce']
        results = model(image, [sample], mode='predict')
    metric = LossMetric(loss)
    metric.process(None, results)
    assert metric.evaluate(1)['loss'] == pytest.approx(float(expected), rel=1e-4)


def test_what_is_missing():
    sample = predicted(0)
    del sample.seg_logits
    with pytest.raises(ValueError, match='return_scores=True'):
        LossMetric().process(None, [sample])
    sample = predicted(0)
    del sample.gt_sem_seg
    with pytest.raises(ValueError, match='LoadAnnotations'):
        LossMetric().process(None, [sample])
