import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg.models.losses import (
    Accuracy,
    BaseLoss,
    CrossEntropyLoss,
    Mask2FormerLoss,
    accuracy,
    weight_reduce_loss,
    weighted_loss,
)
from mmseg.registry import MODELS

CLASSES = 5
OF_SCORES = [
    kind
    for kind in MODELS.module_dict.values()
    if kind.__module__.startswith('mmseg.models.losses.') and kind is not Mask2FormerLoss
]


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, CLASSES, 6, 7, generator=generator)
    labels = torch.randint(CLASSES, (2, 6, 7), generator=generator)
    labels[0, :3] = 255
    return scores, labels


def pixel_losses(scores, labels):
    """Cross-entropy of each pixel written out; 0 where ignored."""
    shares = scores.double().softmax(dim=1)
    losses = torch.zeros(labels.shape, dtype=torch.float64)
    for b, y, x in np.ndindex(*labels.shape):
        if labels[b, y, x] != 255:
            losses[b, y, x] = -shares[b, labels[b, y, x], y, x].log()
    return losses


def test_mean_counts_ignored_pixels_unless_told_otherwise(batch):
    scores, labels = batch
    losses = pixel_losses(scores, labels)
    assert CrossEntropyLoss()(scores, labels).item() == pytest.approx(losses.mean().item())
    valid = (labels != 255).sum().item()
    assert valid < labels.numel()
    non_ignore = CrossEntropyLoss(avg_non_ignore=True)(scores, labels)
    assert non_ignore.item() == pytest.approx(losses.sum().item() / valid)
    assert non_ignore.item() == pytest.approx(F.cross_entropy(scores, labels, ignore_index=255).item())


def test_reductions_weights_and_avg_factor(batch):
    scores, labels = batch
    losses = pixel_losses(scores, labels)
    weight = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1))
    loss = CrossEntropyLoss(loss_weight=0.4)
    none = loss(scores, labels, reduction_override='none')
    torch.testing.assert_close(none, 0.4 * losses.float())
    assert loss(scores, labels, reduction_override='sum').item() == pytest.approx(0.4 * losses.sum().item())
    weighted = loss(scores, labels, weight=weight)
    assert weighted.item() == pytest.approx(0.4 * (losses * weight).mean().item(), rel=1e-5)
    for factor in (7, 7.0, torch.tensor(7.0)):
        value = loss(scores, labels, avg_factor=factor).item()
        assert value == pytest.approx(0.4 * losses.sum().item() / 7)
    with pytest.raises(ValueError, match='avg_factor'):
        loss(scores, labels, avg_factor=7, reduction_override='sum')
    with pytest.raises(ValueError, match='reduction'):
        CrossEntropyLoss(reduction='avg')


def test_other_ignore_index(batch):
    scores, labels = batch
    moved = torch.where(labels == 255, 3, torch.where(labels == 3, 2, labels))
    expected = CrossEntropyLoss()(scores, torch.where(moved == 3, 255, moved))
    assert CrossEntropyLoss()(scores, moved, ignore_index=3) == expected


def test_class_weight(batch, tmp_path):
    scores, labels = batch
    weights = [0.5, 1.0, 2.0, 0.0, 3.0]
    table = torch.tensor(weights + [0.0])[labels.clamp(max=CLASSES)].double()
    losses = pixel_losses(scores, labels) * table
    loss = CrossEntropyLoss(class_weight=weights, avg_non_ignore=True)(scores, labels)
    assert loss.item() == pytest.approx(losses.sum().item() / table.sum().item())
    assert loss.item() == pytest.approx(F.cross_entropy(scores, labels, torch.tensor(weights), ignore_index=255).item())
    # Weights of one change nothing, in either way of averaging.
    for avg_non_ignore in (False, True):
        plain = CrossEntropyLoss(avg_non_ignore=avg_non_ignore)(scores, labels)
        ones = CrossEntropyLoss(class_weight=[1.0] * CLASSES, avg_non_ignore=avg_non_ignore)(scores, labels)
        torch.testing.assert_close(plain, ones)

    np.save(tmp_path / 'weights.npy', np.array(weights))
    (tmp_path / 'weights.json').write_text(json.dumps(weights))
    for name in ('weights.npy', 'weights.json'):
        assert CrossEntropyLoss(class_weight=str(tmp_path / name)).class_weight == weights
    (tmp_path / 'marked.json').write_text('[1, 2]', encoding='utf-16')
    assert CrossEntropyLoss(class_weight=str(tmp_path / 'marked.json')).class_weight == [1.0, 2.0]
    with pytest.raises(ValueError, match='2 numbers for 5 classes'):
        CrossEntropyLoss(class_weight=[1.0, 2.0])(scores, labels)


@pytest.mark.parametrize('use_sigmoid', [False, True])
@pytest.mark.parametrize('avg_non_ignore', [False, True])
@pytest.mark.parametrize('class_weight', [None, [1.0, 2.0, 3.0, 4.0, 5.0]])
def test_only_ignored_pixels_give_zero_loss_and_zero_gradients(batch, use_sigmoid, avg_non_ignore, class_weight):
    scores, labels = batch
    scores.requires_grad_()
    loss = CrossEntropyLoss(use_sigmoid=use_sigmoid, avg_non_ignore=avg_non_ignore, class_weight=class_weight)
    value = loss(scores, torch.full_like(labels, 255))
    value.backward()
    assert value.item() == 0
    assert torch.equal(scores.grad, torch.zeros_like(scores))


def test_ignored_pixels_get_no_gradient(batch):
    scores, labels = batch
    for use_sigmoid in (False, True):
        leaf = scores.clone().requires_grad_()
        CrossEntropyLoss(use_sigmoid=use_sigmoid)(leaf, labels).backward()
        moved = leaf.grad.abs().sum(dim=1) > 0
        assert torch.equal(moved, labels != 255)


def test_sigmoid(batch):
    scores, labels = batch
    target = F.one_hot(labels.masked_fill(labels == 255, 0), CLASSES).permute(0, 3, 1, 2).double()
    valid = (labels != 255)[:, None]
    shares = scores.double().sigmoid()
    losses = -(target * shares.log() + (1 - target) * (1 - shares).log()) * valid
    mean = CrossEntropyLoss(use_sigmoid=True)(scores, labels)
    assert mean.item() == pytest.approx(losses.mean().item())
    non_ignore = CrossEntropyLoss(use_sigmoid=True, avg_non_ignore=True)(scores, labels)
    assert non_ignore.item() == pytest.approx(losses.sum().item() / (valid.sum().item() * CLASSES))

    class_weight = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0])
    positive = -(class_weight.view(1, -1, 1, 1) * target * shares.log() + (1 - target) * (1 - shares).log())
    weight = torch.rand(labels.shape)
    value = CrossEntropyLoss(use_sigmoid=True, class_weight=class_weight.tolist())(scores, labels, weight=weight)
    assert value.item() == pytest.approx((positive * valid * weight[:, None]).mean().item(), rel=1e-5)


def test_sigmoid_with_one_score(batch):
    scores, labels = batch
    scores, labels = scores[:, :1], torch.where(labels == 255, 255, labels % 2)
    valid = labels != 255
    expected = F.binary_cross_entropy_with_logits(scores[:, 0][valid], labels[valid].float())
    value = CrossEntropyLoss(use_sigmoid=True, avg_non_ignore=True)(scores, labels)
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('use_sigmoid', [False, True])
def test_computes_in_float32(batch, dtype, use_sigmoid):
    scores, labels = batch
    low = scores.to(dtype)
    loss = CrossEntropyLoss(use_sigmoid=use_sigmoid)
    expected = loss(low.float(), labels)
    assert loss(low, labels).dtype == torch.float32
    assert torch.equal(loss(low, labels), expected)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(loss(low, labels), expected)


def test_config_and_errors(batch):
    scores, labels = batch
    loss = MODELS.build({'type': 'CrossEntropyLoss', 'use_mask': False, 'loss_name': 'loss_aux'})
    assert loss.loss_name == 'loss_aux'
    with pytest.raises(TypeError, match='ignore'):
        CrossEntropyLoss(ignore=255)
    with pytest.raises(ValueError, match='use_sigmoid'):
        CrossEntropyLoss(use_mask=True)
    with pytest.raises(ValueError, match='resize the scores'):
        loss(scores[..., :3], labels)


@pytest.mark.parametrize('kind', OF_SCORES)
def test_every_loss_has_a_name_and_a_factor(batch, kind):
    once, thrice = kind(), kind(loss_weight=3.0, loss_name='loss_aux')
    assert isinstance(once, BaseLoss) and thrice.loss_name == 'loss_aux'
    torch.testing.assert_close(thrice(*batch), 3 * once(*batch))
    if once.resizes:
        torch.testing.assert_close(thrice.of_coarse(*batch)[0], 3 * once.of_coarse(*batch)[0])


def test_a_loss_of_ones_own(batch):
    class Unsure(BaseLoss):
        def forward(self, scores, label, weight=None, ignore_index=255):
            class_weight = self.class_weight_for(scores)
            loss = 1 - (scores.softmax(dim=1) * class_weight.view(-1, 1, 1)).amax(dim=1)
            return self.reduced(loss.masked_fill(label == ignore_index, 0), weight, (label != ignore_index).sum())

    loss = Unsure('loss_unsure', 0.5, class_weight=[1] * CLASSES)
    scores, labels = batch
    counted = labels != 255
    expected = 0.5 * (1 - scores.softmax(dim=1).amax(dim=1))[counted].mean()
    torch.testing.assert_close(loss(scores, labels), expected)
    assert not loss.resizes
    with pytest.raises(ValueError, match='class_weight has 5 numbers for 4 classes'):
        loss(scores[:, :4], labels)
    with pytest.raises(ValueError, match="'auto' is counted in the training set"):
        Unsure('loss_unsure', 1.0, class_weight='auto')(scores, labels)
    with pytest.raises(ValueError, match="reduction must be one of .*, got 'avg'"):
        Unsure('loss_unsure', 1.0, reduction='avg')


def test_accuracy():
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.1, 0.3, 0.6], [0.2, 0.3, 0.5]])
    target = torch.tensor([1, 1, 0, 255])
    assert accuracy(scores, target).item() == pytest.approx(25)
    assert accuracy(scores, target, ignore_index=255).item() == pytest.approx(100 / 3)
    top1, top2, top3 = accuracy(scores, target, topk=(1, 2, 3), ignore_index=255)
    assert (top1.item(), top2.item(), top3.item()) == pytest.approx((100 / 3, 200 / 3, 100))
    assert accuracy(scores, target, thresh=0.8).item() == pytest.approx(0, abs=1e-4)
    assert accuracy(scores, target, thresh=0.6).item() == pytest.approx(25)
    (only,) = Accuracy(topk=(1,), ignore_index=255)(scores, target)
    assert only.item() == pytest.approx(100 / 3)
    assert accuracy(scores, torch.full_like(target, 255), ignore_index=255).isfinite().all()
    for topk in (0, 4):
        with pytest.raises(ValueError, match='topk'):
            accuracy(scores, target, topk=topk)


def test_accuracy_of_maps(batch):
    scores, labels = batch
    right = sum(int((scores[b].argmax(0) == labels[b]).sum()) for b in range(2))
    share = accuracy(scores, labels, ignore_index=255)
    assert share.item() == pytest.approx(100 * right / (labels != 255).sum().item())


def test_weight_reduce_loss():
    loss, weight = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 2.0])
    assert torch.equal(weight_reduce_loss(loss, weight, 'none'), torch.tensor([1.0, 0.0, 6.0]))
    assert weight_reduce_loss(loss, weight, 'sum') == 7
    assert weight_reduce_loss(loss, weight) == pytest.approx(7 / 3)
    assert weight_reduce_loss(loss, weight, avg_factor=2) == 3.5
    assert weight_reduce_loss(loss * 0, avg_factor=0) == 0

    @weighted_loss
    def squared(pred, target, scale=1.0):
        return scale * (pred - target) ** 2

    assert squared(loss, torch.ones(3), weight, reduction='sum', scale=2.0) == 16
    with pytest.raises(TypeError):
        squared(loss, loss, scales=1.0)
