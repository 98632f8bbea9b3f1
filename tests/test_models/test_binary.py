"""Two classes in both conventional forms: two scores and softmax, one score and sigmoid."""

import numpy as np
import pytest
import torch
from torch import nn

from mmseg.evaluation import IoUMetric
from mmseg.models.decode_heads import BaseDecodeHead
from mmseg.models.decode_heads.binary import check_losses
from mmseg.models.losses import CrossEntropyLoss, accuracy
from mmseg.models.segmentors.scores import BinaryScores, Window
from mmseg.registry import MODELS
from mmseg.visualization import SegLocalVisualizer

from .test_segmentor import annotated, sample, tiny_mask_segmentor, tiny_segmentor

SIGMOID = dict(type='CrossEntropyLoss', use_sigmoid=True)
ONE_SCORE = dict(num_classes=2, out_channels=1, threshold=0.3, loss_decode=SIGMOID)
FORMS = {'two scores': dict(num_classes=2), 'one score': ONE_SCORE}


@MODELS.register_module()
class Mirror(nn.Module):
    out_channels = (3,)

    def forward(self, x):
        return (x,)


@MODELS.register_module()
class PixelHead(BaseDecodeHead):
    def forward(self, inputs):
        return self.cls_seg(self._transform_inputs(inputs))


def picture(seed):
    """Bright squares of class 1 on dark ground, and a strip of ignored pixels."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.zeros(64, 64, dtype=torch.int64)
    for top, left in torch.randint(0, 40, (2, 2), generator=generator).tolist():
        label[top : top + 24, left : left + 24] = 1
    image = label + 0.2 * torch.randn(3, 64, 64, generator=generator)
    label[:, :4] = 255
    return image, label


@pytest.mark.parametrize('form', FORMS)
def test_both_forms_learn_and_are_measured_and_drawn(form, tmp_path):
    torch.manual_seed(0)
    head = dict(FORMS[form], type='PixelHead', channels=3, dropout_ratio=0)
    model = MODELS.build(
        dict(type='EncoderDecoder', backbone=dict(type='Mirror'), decode_head=head, auxiliary_head=head)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)
    for i in range(30):
        images, labels = zip(*(picture(4 * i + j) for j in range(4)), strict=True)
        losses = model(torch.stack(images), [annotated(label) for label in labels], mode='loss')
        optimizer.zero_grad()
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        optimizer.step()
    assert losses['decode.acc_seg'] > 85 and losses['aux.acc_seg'] > 85

    image, label = picture(1000)
    truth = annotated(label)
    truth.set_metainfo(dict(ori_shape=(64, 64), img_path='picture.png'))
    (result,) = model.eval()(image[None], [truth], mode='predict')
    assert result.pred_sem_seg.data.dtype == torch.int64 and result.pred_sem_seg.data.unique().tolist() == [0, 1]
    metric = IoUMetric()
    metric.dataset_meta = dict(classes=('ground', 'square'), palette=[[0, 0, 0], [0, 255, 0]])
    metric.process(None, [result])
    assert metric.evaluate(1)['mIoU'] > 70
    visualizer = SegLocalVisualizer(**metric.dataset_meta, alpha=1.0)
    visualizer.add_datasample('x', np.zeros((64, 64, 3), np.uint8), result, out_file=str(tmp_path / 'x.png'))
    drawn = visualizer.get_image()[:, 64:]
    assert ((drawn == [0, 255, 0]).all(axis=2) == (result.pred_sem_seg.data[0].numpy() == 1)).all()


@pytest.mark.parametrize('test_cfg', [dict(mode='whole'), dict(mode='slide', crop_size=(64, 64), stride=(40, 48))])
@pytest.mark.parametrize('flip', [None, 'horizontal', 'vertical', 'diagonal'])
def test_one_score_is_decided_alike_however_it_is_computed(test_cfg, flip):
    torch.manual_seed(0)
    model, image = tiny_segmentor(head=ONE_SCORE).eval(), torch.randn(1, 3, 100, 150)
    nn.init.normal_(model.decode_head.conv_seg.weight, std=20)
    with torch.no_grad():  # half of the pixels above the threshold
        model.decode_head.conv_seg.bias -= model.encode_decode(image).median() - torch.tensor(0.3).logit()
    meta = dict(flip=flip is not None, flip_direction=flip, padding_size=[0, 10, 0, 4])
    labels = []
    for mode in (dict(), dict(streamed=False), dict(return_scores=True)):
        model.test_cfg.update(test_cfg, **mode)
        (result,) = model(image, [sample((77, 111), **meta)], mode='predict')
        labels.append(result.pred_sem_seg.data)
    assert labels[0].unique().tolist() == [0, 1]
    assert torch.equal(labels[0], labels[1]) and torch.equal(labels[0], labels[2])
    assert result.seg_logits.data.shape == (1, 77, 111)
    assert torch.equal((result.seg_logits.data > 0.3).long(), labels[0])
    logits = model.encode_decode(image)[0, :, :96, :140]
    logits = logits.flip({None: (), 'horizontal': (2,), 'vertical': (1,), 'diagonal': (1, 2)}[flip])
    logits = nn.functional.interpolate(logits[None], (77, 111), mode='bilinear')[0]
    torch.testing.assert_close(result.seg_logits.data, logits.sigmoid())


@pytest.mark.parametrize(('threshold', 'label'), [(None, 1), (0.3, 1), (0.5, 0), (0.45, 0), (0.35, 1)])
def test_the_threshold_is_one_of_probability(threshold, label):
    head = {key: value for key, value in ONE_SCORE.items() if key != 'threshold' or threshold}
    model = tiny_segmentor(head=head | (dict(threshold=threshold) if threshold else {})).eval()
    assert (model.decode_head.threshold, model.out_channels) == (threshold or 0.3, 1)
    nn.init.zeros_(model.decode_head.conv_seg.weight)
    nn.init.constant_(model.decode_head.conv_seg.bias, float(torch.tensor(0.4).logit()))
    images, truth = torch.randn(2, 3, 64, 64), [annotated(torch.ones(64, 64, dtype=int))] * 2
    (result,) = model(images[:1], mode='predict')
    assert result.pred_sem_seg.data.unique().tolist() == [label]
    assert model(images, truth, mode='loss')['decode.acc_seg'].item() == pytest.approx(100 * label, abs=1e-3)


def test_half_precision_scores_are_decided_in_float32():
    scores = torch.full((1, 8, 8), 0.4).logit().half()
    decided = BinaryScores([Window(scores, 0, 0, 64, 64)], (64, 64), (50, 50), threshold=0.399)
    assert decided.labels().unique().tolist() == [1] and decided.at_image_size().dtype == torch.float32


def test_several_scores_with_sigmoid_go_by_the_highest():
    model = tiny_segmentor(head=dict(num_classes=3, loss_decode=SIGMOID)).eval()
    assert model.decode_head.threshold is None and model.decode_head.conv_seg.out_channels == 3
    model.test_cfg.update(return_scores=True)
    (result,) = model(torch.randn(1, 3, 64, 64), mode='predict')
    assert torch.equal(result.seg_logits.data.argmax(0), result.pred_sem_seg.data[0])


def test_a_label_other_than_0_and_1_is_no_large_1():
    """128 for "foreground" would be learnt as a target of 128."""
    with pytest.raises((IndexError, RuntimeError), match='out of bounds'):
        CrossEntropyLoss(use_sigmoid=True)(torch.zeros(1, 1, 2, 2), torch.full((1, 2, 2), 128))


def test_weights_of_both_labels():
    torch.manual_seed(0)
    scores, label = torch.randn(2, 1, 6, 6), torch.randint(0, 2, (2, 6, 6))
    label[0, 0] = 255
    loss = CrossEntropyLoss(use_sigmoid=True, class_weight=[0.5, 3.0])(scores, label)
    plain = nn.functional.binary_cross_entropy_with_logits(scores[:, 0], label.clamp(max=1).float(), reduction='none')
    expected = (plain * torch.tensor([0.5, 3.0])[label.clamp(max=1)])[label != 255].sum() / label.numel()
    torch.testing.assert_close(loss, expected)
    of_the_class = CrossEntropyLoss(use_sigmoid=True, class_weight=[3.0])(scores, label)
    as_two = CrossEntropyLoss(use_sigmoid=True, class_weight=[1.0, 3.0])(scores, label)
    torch.testing.assert_close(of_the_class, as_two)
    with pytest.raises(ValueError, match='3 numbers for 2 classes'):
        CrossEntropyLoss(use_sigmoid=True, class_weight=[1.0, 2.0, 3.0])(scores, label)


def test_accuracy_of_one_score():
    scores, label = torch.tensor([[[-9.0, -0.7, 0.1, 9.0]]]), torch.tensor([[0, 1, 0, 1]])
    assert accuracy(scores, label).item() == pytest.approx(75)  # sigmoid(-0.7) is 0.33
    assert accuracy(scores, label, binary_threshold=0.5).item() == pytest.approx(50)
    assert accuracy(scores, label, ignore_index=1).item() == pytest.approx(50)


@MODELS.register_module()
class UpsideDown(nn.Module):
    loss_name = 'loss_upside_down'

    def forward(self, scores, label, ignore_index):
        return (scores[:, 0] * label).mean()


@pytest.mark.parametrize(
    ('head', 'message'),
    [
        (dict(num_classes=1), 'num_classes=1 leaves nothing to tell apart'),
        (dict(num_classes=1, loss_decode=SIGMOID), 'num_classes=1 leaves nothing to tell apart'),
        (dict(num_classes=1, out_channels=1, loss_decode=SIGMOID), 'num_classes=1 leaves nothing to tell apart'),
        (dict(num_classes=2, out_channels=1), 'CrossEntropyLoss does not take one score'),
        (dict(ONE_SCORE, loss_decode=[SIGMOID, dict(type='CrossEntropyLoss')]), 'does not take one score'),
        (dict(ONE_SCORE, loss_decode=dict(type='UpsideDown')), 'does not rise at label 1'),
        (dict(num_classes=2, out_channels=3), 'out_channels=3 does not go with num_classes=2'),
        (dict(ONE_SCORE, num_classes=19), 'out_channels=1 does not go with num_classes=19'),
        (dict(num_classes=2, threshold=0.3), 'threshold=0.3 has no effect on 2 scores'),
    ],
)
def test_what_can_learn_nothing_is_refused_with_what_to_write(head, message):
    for build in (
        lambda: tiny_segmentor(head=head),
        lambda: tiny_segmentor(auxiliary_head=dict(head, type='LRHead', channels=16)),
    ):
        with pytest.raises(ValueError, match=f'(?s){message}.*num_classes=2 .*num_classes=2, out_channels=1, loss'):
            build()


@pytest.mark.parametrize(
    ('head', 'message'),
    [
        (dict(ONE_SCORE, threshold=1.0), 'one class for ever'),
        (dict(ONE_SCORE, threshold=0.0), 'threshold=0.0'),
        (dict(num_classes=2, ignore_index=0), 'only the other is ever trained'),
        (dict(ONE_SCORE, ignore_index=1), 'only the other is ever trained'),
    ],
)
def test_other_ways_to_predict_one_class_for_ever(head, message):
    with pytest.raises(ValueError, match=message):
        tiny_segmentor(head=head)


def test_queries_need_two_classes():
    with pytest.raises(ValueError, match='num_classes=1 leaves nothing.*num_classes=2'):
        tiny_mask_segmentor(1)
    model = tiny_mask_segmentor(2).eval()
    assert model.out_channels == 2
    (result,) = model(torch.randn(1, 3, 64, 64), mode='predict')
    assert result.pred_sem_seg.data.max() <= 1


def test_the_check_leaves_random_numbers_and_gradients_alone():
    class Sampling(nn.Module):
        def forward(self, scores, label, ignore_index):
            kept = torch.rand(label.shape) > 0.1
            return (CrossEntropyLoss(use_sigmoid=True, reduction='none')(scores, label)[:, 0] * kept).mean()

    torch.manual_seed(0)
    before = torch.get_rng_state()
    with torch.no_grad():
        check_losses('Head', [Sampling()], 255)
    with torch.device('meta'):  # as for counting operations
        check_losses('Head', [Sampling()], 255)
    assert torch.equal(torch.get_rng_state(), before)
