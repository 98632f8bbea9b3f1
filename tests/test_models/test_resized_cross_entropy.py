"""The strips against the plain way: resize, then cross-entropy, then accuracy."""

from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.models.layers.strips import STRIP
from mmseg.models.losses import CrossEntropyLoss, accuracy, resized_cross_entropy, share_of

IGNORED = 255
side = st.integers(1, 24)


def plainly(loss, scores, label, align_corners):
    full = F.interpolate(scores, label.shape[1:], mode='bilinear', align_corners=align_corners)
    return loss(full, label), accuracy(full, label, ignore_index=IGNORED)


def in_strips(loss, scores, label, align_corners):
    value, right = loss.of_coarse(scores, label, IGNORED, align_corners)
    return value, share_of(right, label != IGNORED)


def inputs(coarse, size, classes=5, ignored=0.3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(hash((coarse, size)) % 1000)
    scores = 4 * torch.randn(2, classes, *coarse, generator=generator, dtype=dtype)
    label = torch.randint(classes, (2, *size), generator=generator)
    label[torch.rand(label.shape, generator=generator) < ignored] = IGNORED
    return scores, label


def check(loss, scores, label, align_corners=False, strip=200):
    results = []
    with patch.dict(STRIP, cpu=strip), patch('mmseg.models.layers.strips.SHORTEST', 1):
        for compute in (plainly, in_strips):
            leaf = scores.clone().requires_grad_()
            value, share = compute(loss, leaf, label, align_corners)
            (3 * value).backward()
            results.append((value.detach(), share, leaf.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5 if scores.dtype is torch.float32 else 1e-9, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(side, side, side, side, st.booleans(), st.integers(1, 400))
def test_any_sizes(h, w, H, W, align_corners, strip):
    check(CrossEntropyLoss(), *inputs((h, w), (H, W)), align_corners, strip)


@pytest.mark.parametrize('reduction', ['mean', 'sum'])
@pytest.mark.parametrize('avg_non_ignore', [False, True])
@pytest.mark.parametrize('class_weight', [None, [0.5, 2.0, 0.0, 1.0, 3.0]])
@pytest.mark.parametrize('ignored', [0, 0.3, 1.1])
def test_every_average(reduction, avg_non_ignore, class_weight, ignored):
    loss = CrossEntropyLoss(
        reduction=reduction, avg_non_ignore=avg_non_ignore, class_weight=class_weight, loss_weight=0.4
    )
    check(loss, *inputs((4, 5), (16, 23), ignored=ignored))


def test_float32_and_large_scores():
    scores, label = inputs((8, 8), (64, 64), dtype=torch.float32)
    check(CrossEntropyLoss(), scores, label)
    check(CrossEntropyLoss(), 1e4 * scores, label)  # no share of exp's overflows


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    scores, label = inputs((4, 5), (16, 23), dtype=torch.float32)
    half = scores.to(dtype).requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        value, _ = CrossEntropyLoss().of_coarse(half, label)
    value.backward()
    expected = plainly(CrossEntropyLoss(), half.detach().float(), label, False)[0]
    assert value.dtype is torch.float32 and half.grad.dtype is dtype
    torch.testing.assert_close(value.detach(), expected)


def test_nothing_is_kept_without_gradients():
    scores, label = inputs((4, 5), (16, 23))
    with torch.no_grad():
        value, _ = CrossEntropyLoss().of_coarse(scores.requires_grad_(), label)
    assert not value.requires_grad


def test_no_full_map_of_scores_is_made():
    """The largest tensor that comes into being is a strip, or the map widened along one axis."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.is_floating_point():
                largest = max(largest, out.numel())
            return out

    scores, label = inputs((8, 8), (64, 64), classes=20, dtype=torch.float32)
    with patch.dict(STRIP, cpu=20 * 64 * 8), Watch():
        CrossEntropyLoss().of_coarse(scores.requires_grad_(), label)[0].backward()
    assert largest == 20 * 8 * 64


def test_labels_that_are_no_class_raise():
    scores, label = inputs((4, 4), (8, 8), ignored=0)
    label[0, 3, 3] = 77
    with pytest.raises(RuntimeError, match='index 77 is out of bounds'):
        CrossEntropyLoss().of_coarse(scores, label)


@pytest.mark.parametrize('loss', [CrossEntropyLoss(use_sigmoid=True), CrossEntropyLoss(reduction='none')])
def test_what_it_is_not_for(loss):
    assert not loss.resizes


def test_pixel_weights():
    scores, label = inputs((3, 4), (9, 8), ignored=0)
    weight = torch.rand(label.shape, dtype=scores.dtype)
    total, _ = resized_cross_entropy(scores, label, weight)
    full = F.interpolate(scores, label.shape[1:], mode='bilinear')
    torch.testing.assert_close(total, (F.cross_entropy(full, label, reduction='none') * weight).sum())
