import pytest
import torch
from mmengine.structures import PixelData

from mmseg.models import FCNHead
from mmseg.structures import OHEMPixelSampler, SegDataSample, build_pixel_sampler


def head(**cfg):
    return FCNHead(in_channels=4, channels=4, num_classes=5, **cfg)


def scores_and_labels(ignored: int = 0):
    torch.manual_seed(0)
    label = torch.randint(5, (2, 1, 9, 11))
    label.view(-1)[:ignored] = 255
    return torch.randn(2, 5, 9, 11), label


@pytest.mark.parametrize('losses', [1, 2])
def test_those_with_most_loss_are_kept(losses):
    several = [dict(type='CrossEntropyLoss', loss_name=f'loss_{i}') for i in range(losses)]
    scores, label = scores_and_labels(ignored=30)
    context = head(loss_decode=several if losses > 1 else several[0])
    weight = OHEMPixelSampler(context=context, min_kept=20).sample(scores, label)
    assert weight.shape == (2, 9, 11) and weight.sum() == 40
    loss = torch.nn.functional.cross_entropy(scores, label[:, 0], ignore_index=255, reduction='none')
    assert set(weight.unique().tolist()) == {0, 1} and loss[weight == 1].min() >= loss[weight == 0].max()
    assert OHEMPixelSampler(context=context, min_kept=1000).sample(scores, label).sum() == 168


def test_those_below_a_probability_are_kept_and_some_at_least():
    scores, label = scores_and_labels(ignored=30)
    own = scores.softmax(dim=1).gather(1, label.masked_fill(label == 255, 0))[:, 0]
    counted = label[:, 0] != 255
    weight = OHEMPixelSampler(context=head(), thresh=0.3, min_kept=2).sample(scores, label)
    assert torch.equal(weight == 1, counted & (own < 0.3))
    weight = OHEMPixelSampler(context=head(), thresh=0.01, min_kept=30).sample(scores, label)
    assert weight.sum() == 60


def test_one_score_for_two_classes():
    score, label = torch.randn(2, 1, 9, 11), torch.randint(2, (2, 1, 9, 11))
    own = torch.where(label == 1, score.sigmoid(), 1 - score.sigmoid())[:, 0]
    weight = OHEMPixelSampler(context=head(), thresh=0.6, min_kept=2).sample(score, label)
    assert torch.equal(weight == 1, own < 0.6)


def test_a_batch_of_ignored_pixels_has_loss_zero():
    scores, label = scores_and_labels(ignored=198)
    assert OHEMPixelSampler(context=head(), thresh=0.7).sample(scores, label).sum() == 0


def test_a_head_trains_on_what_its_sampler_chooses():
    scores, label = scores_and_labels()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=one)) for one in label]
    whole = head().loss_by_feat(scores, samples)['loss_ce']
    hard = head(sampler=dict(type='OHEMPixelSampler', min_kept=30)).loss_by_feat(scores, samples)['loss_ce']
    loss = torch.nn.functional.cross_entropy(scores, label[:, 0], reduction='none')
    assert torch.allclose(hard, loss.flatten().topk(60).values.sum() / loss.numel())
    assert not torch.allclose(hard, whole)


def test_what_does_not_go_together():
    scores, label = scores_and_labels()
    with pytest.raises(AssertionError, match='do not go with labels'):
        OHEMPixelSampler(context=head()).sample(scores, label[..., :5])
    with pytest.raises(AssertionError, match='min_kept=1 must be above 1'):
        build_pixel_sampler(dict(type='OHEMPixelSampler', min_kept=1), context=head())
    for kind in ('DiceLoss', 'TverskyLoss', 'LovaszLoss'):
        sampler = OHEMPixelSampler(context=head(loss_decode=dict(type=kind)), min_kept=9)
        with pytest.raises(AssertionError, match=f'{kind} is not a loss of each pixel'):
            sampler.sample(scores, label)
    sampled = head(loss_decode=dict(type='FocalLoss'), sampler=dict(type='OHEMPixelSampler', min_kept=9))
    assert sampled.sampler.sample(scores, label).sum() == 18
