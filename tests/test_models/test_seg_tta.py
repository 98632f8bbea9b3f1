from functools import partial

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import PixelData

from mmseg.models import SegTTAModel
from mmseg.models.decode_heads import Mask2FormerHead
from mmseg.models.segmentors import scores
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from .test_segmentor import TINY, tiny_mask_segmentor, tiny_segmentor

PREPROCESSOR = dict(type='SegDataPreProcessor', mean=[120.0] * 3, std=[60.0] * 3, test_cfg=dict(size_divisor=32))


def one_score_segmentor(num_classes=2, **cfg):
    return tiny_segmentor(
        2, head=dict(out_channels=1, threshold=0.45, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)), **cfg
    )


def views_of(image_size, seed, **meta):
    """One image at three sizes, flipped and unflipped, as TestTimeAug and PackSegInputs give it."""
    torch.manual_seed(seed)
    inputs, samples = [], []
    for size in ((48, 64), (70, 90), (96, 128)):
        image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
        for flip, direction in ((True, 'horizontal'), (False, None), (True, 'vertical')):
            inputs.append(image)
            samples.append(
                SegDataSample(metainfo=dict(ori_shape=image_size, flip=flip, flip_direction=direction, **meta))
            )
    return dict(inputs=inputs, data_samples=samples)


def trained_scores(model, inputs):
    """Scores of large regions, as a trained network gives them, that follow from each image."""
    of_queries = isinstance(model.decode_head, Mask2FormerHead)
    classes, maps = [], []
    for image in inputs:
        generator = torch.Generator().manual_seed(int(image.abs().sum() * 100))
        coarse = 5 * torch.randn(1, 9 if of_queries else model.out_channels, 4, 4, generator=generator)
        size = [side // (4 if of_queries else 8) for side in image.shape[-2:]]
        maps.append(torch.nn.functional.interpolate(coarse, size=size, mode='bicubic')[0])
        classes.append(6 * torch.eye(9, 13) + torch.randn(9, 13, generator=generator))
    return (torch.stack(classes), torch.stack(maps)) if of_queries else torch.stack(maps)


def plain_labels(model, views, threshold=None):
    """From whole maps of all views' scores."""
    model.test_cfg['return_scores'] = True
    total = 0
    for inputs, sample in zip(views['inputs'], views['data_samples'], strict=True):
        (result,) = model.test_step(dict(inputs=[inputs], data_samples=[sample.clone()]))
        full = result.seg_logits.data
        of_logits = len(full) > 1 and not isinstance(model.decode_head, Mask2FormerHead)
        total = total + (full.softmax(0) if of_logits else full)
    model.test_cfg['return_scores'] = False
    mean = total / len(views['inputs'])
    return (mean[0] > threshold).long() if threshold else mean.argmax(0)


@pytest.mark.parametrize(
    ('make', 'threshold'), [(tiny_segmentor, None), (tiny_mask_segmentor, None), (one_score_segmentor, 0.45)]
)
@pytest.mark.parametrize('chunk', [2000, 2**21])
@torch.no_grad()
def test_labels_are_those_of_whole_maps(make, threshold, chunk, monkeypatch):
    """A batch of two images of different sizes."""
    model = make(12, data_preprocessor=PREPROCESSOR).eval()
    monkeypatch.setattr(model, '_scores', partial(trained_scores, model))
    batch = [views_of((50, 60), 1), views_of((33, 120), 2)]
    expected = [plain_labels(model, views, threshold) for views in batch]
    assert all(len(labels.unique()) > 1 for labels in expected)
    monkeypatch.setattr(scores.labels_by_rows, '__defaults__', (chunk,))
    monkeypatch.setattr(scores.MeanScores.labels, '__defaults__', (chunk,))
    results = SegTTAModel(model).test_step(pseudo_collate(batch))
    for result, labels in zip(results, expected, strict=True):
        assert torch.equal(result.pred_sem_seg.data[0], labels)
        assert not result.flip and 'seg_logits' not in result


@torch.no_grad()
def test_no_full_map_of_any_view_is_held(monkeypatch):
    model, sizes = tiny_segmentor(40, data_preprocessor=PREPROCESSOR).eval(), []
    original = scores.ImageScores.at_image_rows

    def watch(self, *rows):
        sizes.append(original(self, *rows).numel())
        return original(self, *rows)

    monkeypatch.setattr(scores.ImageScores, 'at_image_rows', watch)
    monkeypatch.setattr(scores.ImageScores, 'at_image_size', None)
    monkeypatch.setattr(scores.MeanScores.labels, '__defaults__', (2**14,))
    SegTTAModel(model).test_step(pseudo_collate([views_of((100, 110), 0)]))
    assert max(sizes) <= 2**14 < 40 * 100 * 110


@torch.no_grad()
def test_scores_on_request_are_mean_probabilities():
    model = tiny_segmentor(data_preprocessor=PREPROCESSOR, test_cfg=dict(return_scores=True)).eval()
    (result,) = SegTTAModel(model).test_step(pseudo_collate([views_of((50, 60), 1)]))
    assert result.seg_logits.shape == (50, 60)
    torch.testing.assert_close(result.seg_logits.data.sum(0), torch.ones(50, 60))
    assert torch.equal(result.seg_logits.data.argmax(0), result.pred_sem_seg.data[0])


@torch.no_grad()
def test_the_annotation_is_that_of_an_unflipped_view():
    views = views_of((50, 60), 1)
    for i, sample in enumerate(views['data_samples']):
        sample.gt_sem_seg = PixelData(data=torch.full((1, 50, 60), i))
    (result,) = SegTTAModel(tiny_segmentor(data_preprocessor=PREPROCESSOR).eval()).test_step(pseudo_collate([views]))
    assert result.gt_sem_seg.data.unique().tolist() == [1]


def test_built_from_a_config_it_takes_what_mmsegmentation_s_takes():
    head = dict(type='LRHead', channels=16, q_pooled_size=4, num_classes=3)
    segmentor = dict(type='EncoderDecoder', backbone=TINY, decode_head=head)
    model = MODELS.build(dict(type='SegTTAModel', module=segmentor)).eval()
    inputs = [torch.randn(1, 3, 64 + 32 * i, 64) for i in range(2)]
    samples = [[SegDataSample(metainfo=dict(ori_shape=(20, 30)))] for _ in inputs]
    (result,) = model.test_step(dict(inputs=inputs, data_samples=samples))
    assert result.pred_sem_seg.data.shape == (1, 20, 30)
    model = MODELS.build(dict(type='SegTTAModel', module=segmentor, data_preprocessor=PREPROCESSOR))
    assert model.module.data_preprocessor.normalize


class TestMergePreds:
    def merged(self, model, *maps):
        samples = [SegDataSample(seg_logits=PixelData(data=data)) for data in maps]
        (result,) = SegTTAModel(model).merge_preds([samples])
        return result.pred_sem_seg.data

    def test_probabilities_are_averaged_not_logits(self):
        confident, others = torch.tensor([30.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
        maps = [x[:, None, None].expand(3, 2, 4) for x in (confident, others, others)]
        assert self.merged(tiny_segmentor(3), *maps).tolist() == [[[0] * 4] * 2]
        weak = torch.tensor([3.0, 0.0, 0.0])[:, None, None].expand(3, 2, 4)
        sure = torch.tensor([0.0, 2.9, -9.0])[:, None, None].expand(3, 2, 4)
        assert self.merged(tiny_segmentor(3), weak, sure).unique().tolist() == [1]  # logits would say 0

    def test_one_channel_goes_by_the_threshold(self):
        maps = torch.full((1, 2, 2), 0.3), torch.tensor([[[0.5, 0.7], [0.61, 0.0]]])
        assert self.merged(one_score_segmentor(), *maps).tolist() == [[[0, 1], [1, 0]]]
