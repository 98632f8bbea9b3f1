"""Losses against their formulas, written out in float64 for one pixel, class and image at a time."""

from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F

from mmseg.models.layers.strips import STRIP
from mmseg.registry import MODELS

from .test_segmentor import annotated, tiny_segmentor

CLASSES = 4
WEIGHTS = [0.5, 1.0, 2.0, 3.0]
# Every loss, in every form that has a formula of its own.
LOSSES = {
    'smooth': dict(type='CrossEntropyLoss', label_smoothing=0.2),
    'smooth weighted': dict(type='CrossEntropyLoss', label_smoothing=0.2, class_weight=WEIGHTS, avg_non_ignore=True),
    'smooth sigmoid': dict(type='CrossEntropyLoss', label_smoothing=0.2, use_sigmoid=True),
    'dice': dict(type='DiceLoss'),
    'dice softmax': dict(type='DiceLoss', use_sigmoid=False, naive_dice=True),
    'dice by class': dict(type='DiceLoss', use_sigmoid=False, per_class=True),
    'tversky': dict(type='TverskyLoss'),
    'tversky weighted': dict(type='TverskyLoss', class_weight=WEIGHTS, alpha=0.5, beta=0.5, loss_weight=0.3),
    'focal': dict(type='FocalLoss'),
    'focal weighted': dict(type='FocalLoss', gamma=1.5, alpha=[0.1, 0.2, 0.3, 0.4], class_weight=WEIGHTS),
    'lovasz': dict(type='LovaszLoss'),
    'lovasz by image': dict(type='LovaszLoss', per_image=True, classes='all', class_weight=WEIGHTS),
    'ohem': dict(type='OhemCrossEntropy', thres=0.3, min_kept=5),
    'ohem weighted': dict(type='OhemCrossEntropy', thres=0.01, min_kept=25, class_weight=WEIGHTS),
    'boundary': dict(type='BoundaryLoss', loss_weight=0.5),
}
IN_STRIPS = [name for name in LOSSES if name.split()[0] not in ('lovasz', 'boundary') and 'sigmoid' not in name]


def make(ignored=0.2, size=(6, 7), classes=CLASSES, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    scores = 2 * torch.randn(2, classes, *size, generator=generator, dtype=dtype)
    label = torch.randint(max(classes, 2), (2, *size), generator=generator)
    label[:, :, :3] = label[:, :1, :1]  # a region, so that there are boundaries
    label[torch.rand(label.shape, generator=generator) < ignored] = 255
    return scores, label


def pixels(scores, label):
    """(image, scores of the pixel, its label) of all that count."""
    for b in range(len(label)):
        for y in range(label.shape[1]):
            for x in range(label.shape[2]):
                if label[b, y, x] != 255:
                    yield b, scores[b, :, y, x], int(label[b, y, x])


def smooth(scores, label, label_smoothing, class_weight=None, avg_non_ignore=False, use_sigmoid=False):
    total = count = 0
    for _, s, c in pixels(scores, label):
        if use_sigmoid:
            for k in range(CLASSES):
                p = s[k].sigmoid()
                t = (k == c) * (1 - label_smoothing) + label_smoothing / 2
                total = total - t * p.log() - (1 - t) * (1 - p).log()
            continue
        logs, w = s.softmax(0).log(), class_weight or [1] * CLASSES
        total = total - (1 - label_smoothing) * w[c] * logs[c]
        total = total - label_smoothing / CLASSES * sum(w[k] * logs[k] for k in range(CLASSES))
        count += w[c]
    return total / (count if avg_non_ignore else label.numel() * (CLASSES if use_sigmoid else 1))


def sums(scores, label, activation):
    """(p t, p, p^2, t) of each image and class."""
    found = torch.zeros(4, 2, CLASSES, dtype=torch.float64)
    for b, s, c in pixels(scores, label):
        p = s.softmax(0) if activation == 'softmax' else s.sigmoid()
        t = F.one_hot(torch.tensor(c), CLASSES)
        found[:, b] += torch.stack([p * t, p, p * p, t])
    return found


def dice(scores, label, use_sigmoid=True, naive_dice=False, per_class=False):
    losses = []
    for of_image in sums(scores, label, 'sigmoid' if use_sigmoid else 'softmax').transpose(0, 1):
        groups = [of_image[:, c] for c in range(CLASSES) if of_image[3, c]] if per_class else [of_image.sum(dim=1)]
        for both, p, squares, t in groups:
            ratio = (2 * both + 1e-3) / (p + t + 1e-3) if naive_dice else 2 * both / (squares + 1e-3 + t + 1e-3)
            losses.append((1 - ratio) / len(groups))
    return sum(losses) / 2


def tversky(scores, label, class_weight=(1,) * CLASSES, alpha=0.3, beta=0.7, loss_weight=1):
    total = 0
    for both, p, _, t in sums(scores, label, 'softmax').transpose(0, 1):
        index = (both + 1) / (both + alpha * (p - both) + beta * (t - both) + 1)
        total += ((1 - index) * torch.tensor(class_weight)).mean() / 2
    return loss_weight * total


def focal(scores, label, gamma=2.0, alpha=(0.5,) * CLASSES, class_weight=(1,) * CLASSES):
    total = 0
    for _, s, c in pixels(scores, label):
        for k in range(CLASSES):
            p, a = (s[k].sigmoid(), alpha[k]) if k == c else (1 - s[k].sigmoid(), 1 - alpha[k])
            total = total - class_weight[k] * a * (1 - p) ** gamma * p.log()
    return total / label.numel() / CLASSES


def lovasz(scores, label, per_image=False, classes='present', class_weight=(1,) * CLASSES):
    if per_image:
        parts = [(scores[i : i + 1], label[i : i + 1]) for i in range(2)]
        return sum(lovasz(*part, classes=classes, class_weight=class_weight) for part in parts) / 2
    listed = list(pixels(scores, label))
    losses = []
    for k in range(CLASSES):
        if classes == 'present' and not any(c == k for _, _, c in listed):
            continue
        errors = sorted(((abs(int(c == k) - s.softmax(0)[k]), c == k) for _, s, c in listed), key=lambda e: -e[0])
        wrong_of_class = wrong_others = before = loss = 0
        size = sum(c == k for _, _, c in listed)
        for error, of_class in errors:  # Jaccard loss of the set of the largest errors: |wrong| / |class or wrong|
            wrong_of_class, wrong_others = wrong_of_class + of_class, wrong_others + (not of_class)
            after = (wrong_of_class + wrong_others) / (size + wrong_others)
            loss, before = loss + error * (after - before), after
        losses.append(class_weight[k] * loss)
    return sum(losses) / len(losses)


def ohem(scores, label, thres, min_kept, class_weight=(1,) * CLASSES):
    listed = sorted(
        (float(s.softmax(0)[c]), -class_weight[c] * s.softmax(0)[c].log()) for _, s, c in pixels(scores, label)
    )
    hard = [loss for i, (p, loss) in enumerate(listed) if i < min_kept or p < thres]
    assert min_kept < len(hard) < len(listed) or len(hard) == min_kept
    return sum(hard) / len(hard)


def boundary(scores, label, loss_weight):
    """Windows of 3 and 5 pixels."""
    B, H, W = label.shape
    f1 = []

    def window(y, x, reach):
        rows, columns = range(max(y - reach, 0), min(y + reach + 1, H)), range(max(x - reach, 0), min(x + reach + 1, W))
        return [(v, u) for v in rows for u in columns]

    for b in range(B):
        for k in range(CLASSES):
            maps = []
            for values in ((label[b] == k).double(), scores[b].softmax(0)[k]):
                edge = torch.zeros(H, W, dtype=torch.float64)
                for y in range(H):
                    for x in range(W):
                        near = window(y, x, 1)
                        if all(label[(b, *place)] != 255 for place in near):
                            edge[y, x] = max(1 - values[place] for place in near) - (1 - values[y, x])
                maps.append(edge)
            truth, found = maps
            if truth.max() == 0:
                continue

            def share(of, within):
                places = [(y, x) for y in range(H) for x in range(W)]
                return sum(of[p] * max(within[q] for q in window(*p, 2)) for p in places) / of.sum()

            precision, recall = share(found, truth), share(truth, found)
            f1.append(2 * precision * recall / (precision + recall))
    return loss_weight * (1 - sum(f1) / len(f1))


FORMULAS = dict(smooth=smooth, dice=dice, tversky=tversky, focal=focal, lovasz=lovasz, ohem=ohem, boundary=boundary)


@pytest.mark.parametrize('name', LOSSES)
def test_formula(name):
    scores, label = make()
    cfg = {key: value for key, value in LOSSES[name].items() if key != 'type'}
    expected = FORMULAS[name.split()[0]](scores, label, **cfg)
    assert 0.01 < float(expected) < 10
    torch.testing.assert_close(MODELS.build(LOSSES[name])(scores, label), torch.as_tensor(expected), rtol=1e-6, atol=0)


@pytest.mark.parametrize('name', LOSSES)
def test_gradient(name):
    scores, label = make(size=(4, 5))
    loss = MODELS.build(LOSSES[name])
    assert torch.autograd.gradcheck(lambda s: loss(s, label), scores.requires_grad_())


@pytest.mark.parametrize('name', IN_STRIPS)
@pytest.mark.parametrize('align_corners', [False, True])
def test_strips_give_the_same(name, align_corners):
    """Loss and gradient of coarse scores, strip by strip, as of the resized ones."""
    loss = MODELS.build(LOSSES[name])
    assert loss.resizes
    label, results = make(size=(23, 17))[1], []
    for in_strips in (False, True):
        scores = make(size=(5, 4))[0].requires_grad_()
        with patch.dict(STRIP, cpu=100), patch('mmseg.models.layers.strips.SHORTEST', 3):
            if in_strips:
                value = loss.of_coarse(scores, label, 255, align_corners)[0]
            else:
                full = F.interpolate(scores, label.shape[1:], mode='bilinear', align_corners=align_corners)
                value = loss(full, label)
            value.backward()
        results.append((value.detach(), scores.grad))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize('name', LOSSES)
def test_nothing_to_learn_from(name):
    """All pixels ignored, or of weight 0: loss 0, and a gradient of zeros that processes can share."""
    loss = MODELS.build(LOSSES[name])
    scores, label = make(dtype=torch.float32)
    ignored = torch.full_like(label, 255)
    computed = [lambda s: loss(s, ignored)]
    if getattr(loss, 'resizes', False):
        computed.append(lambda s: loss.of_coarse(s[..., :3, :3], ignored)[0])
    if 'smooth' not in name:
        computed.append(lambda s: loss(s, label, weight=torch.zeros(label.shape)))
    for compute in computed:
        leaf = scores.clone().requires_grad_()
        value = compute(leaf)
        value.backward()
        assert value == 0 and torch.equal(leaf.grad, torch.zeros_like(leaf))


@pytest.mark.parametrize('name', LOSSES)
def test_ignored_pixels_change_nothing(name):
    """Also where the ignored label is another, and one of the classes."""
    loss = MODELS.build(LOSSES[name])
    scores, label = make()
    expected = loss(scores, label)
    disturbed = torch.where((label == 255)[:, None], 9.0, scores).requires_grad_()
    value = loss(disturbed, label)
    torch.testing.assert_close(value, expected)
    (gradient,) = torch.autograd.grad(value, disturbed)
    assert not gradient.movedim(1, -1)[label == 255].any()
    torch.testing.assert_close(loss(scores, label.where(label != 255, 77), ignore_index=77), expected)


@pytest.mark.parametrize('name', LOSSES)
def test_one_class_in_the_labels(name):
    """Right scores cost less than wrong ones; nothing divides by a class that is not there."""
    loss = MODELS.build(LOSSES[name])
    label = torch.full((2, 6, 7), 2)
    right, wrong = (10 * F.one_hot(torch.full_like(label, c), CLASSES).movedim(-1, 1).float() - 5 for c in (2, 1))
    values = [loss(scores, label) for scores in (right, wrong)]
    assert all(value.isfinite() for value in values)
    if name != 'boundary':  # there is none
        assert values[0] < values[1]


ONE_SCORE = {
    'CrossEntropyLoss': dict(use_sigmoid=True, label_smoothing=0.1),
    **{name: {} for name in ('DiceLoss', 'TverskyLoss', 'FocalLoss', 'OhemCrossEntropy', 'BoundaryLoss')},
    'LovaszLoss': dict(loss_type='binary'),
}


@pytest.mark.parametrize('kind', ONE_SCORE)
def test_one_score_for_two_classes(kind):
    """Each loss falls to the right labels, and a head of one score takes it."""
    loss = MODELS.build(dict(type=kind, **ONE_SCORE[kind]))
    scores, label = make(classes=1, dtype=torch.float32)
    sign = torch.where(label == 1, 1.0, -1.0)[:, None]
    assert loss(4 * sign, label) < loss(scores, label) < loss(-4 * sign, label)
    if kind == 'OhemCrossEntropy':  # softmax of the score and 0
        both = torch.cat([torch.zeros_like(scores), scores], dim=1)
        torch.testing.assert_close(loss(scores, label), loss(both, label))
    head = dict(type='FCNHead', in_channels=3, channels=4, num_classes=2, out_channels=1, num_convs=1)
    head = MODELS.build(dict(**head, loss_decode=dict(type=kind, **ONE_SCORE[kind])))
    losses = head.loss([torch.randn(2, 3, 6, 7)], [annotated(one) for one in label], {})
    losses[loss.loss_name].backward()
    assert head.conv_seg.weight.grad.any() and 0 <= losses['acc_seg'] <= 100


@pytest.mark.parametrize('name', LOSSES)
def test_one_iteration_in_bfloat16(name):
    """In the decode head of a segmentor and in an auxiliary one; the loss is one of float32 scores."""
    torch.manual_seed(0)
    auxiliary_head = dict(type='FCNHead', channels=8, in_index=2, num_convs=1, num_classes=CLASSES)
    auxiliary_head['loss_decode'] = [LOSSES[name], dict(type='CrossEntropyLoss', loss_name='loss_plain')]
    model = tiny_segmentor(CLASSES, head=dict(loss_decode=LOSSES[name]), auxiliary_head=auxiliary_head)
    label = make(size=(64, 64))[1]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(torch.randn(2, 3, 64, 64), [annotated(one) for one in label], mode='loss')
    loss_name = MODELS.build(LOSSES[name]).loss_name
    assert losses[f'decode.{loss_name}'].dtype == torch.float32 and 'aux.loss_plain' in losses
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_dice_of_shares():
    scores, label = make(ignored=0)
    loss = MODELS.build(dict(type='DiceLoss'))
    torch.testing.assert_close(loss(scores, F.one_hot(label, CLASSES).movedim(-1, 1)), loss(scores, label))


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(type='FocalLoss', use_sigmoid=False), 'each class on its own'),
        (dict(type='FocalLoss', alpha=2), 'alpha=2 from 0 to 1'),
        (dict(type='TverskyLoss', alpha=0.3, beta=0.3), '1 together'),
        (dict(type='TverskyLoss', smooth=0), 'smooth=0 must be above 0'),
        (dict(type='LovaszLoss', loss_type='softmax'), "none of .'binary', 'multi_class'"),
        (dict(type='LovaszLoss', classes='some'), 'list of class indices'),
        (dict(type='OhemCrossEntropy', thres=0), 'thres=0 is above 0'),
        (dict(type='BoundaryLoss', width=4), 'width=4 is not an odd number'),
        (dict(type='DiceLoss', reduction='avg'), 'reduction must be one of'),
        (dict(type='CrossEntropyLoss', label_smoothing=1), 'label_smoothing is a share'),
    ],
)
def test_wrong_arguments(cfg, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(cfg)


@pytest.mark.parametrize('name', ['tversky weighted', 'focal weighted', 'lovasz by image', 'ohem weighted'])
def test_as_many_weights_as_classes(name):
    scores, label = make(classes=5)
    with pytest.raises(ValueError, match='numbers for 5 classes'):
        MODELS.build({**LOSSES[name], 'class_weight': [1.0, 2.0]} | ({'alpha': 0.5} if 'focal' in name else {}))(
            scores, label
        )
