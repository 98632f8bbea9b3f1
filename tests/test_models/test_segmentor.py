import pytest
import torch
from mmengine.structures import PixelData

from mmseg.checkpoints import load_model_weights
from mmseg.models.backbones.base import StagedBackbone
from mmseg.models.decode_heads import BaseDecodeHead
from mmseg.models.segmentors.encoder_decoder import _drop_unread_maps
from mmseg.models.segmentors.scores import ImageScores, MaskScores, Window, highest_class
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

TINY = dict(type='LRFormer', embed_dims=(8, 16, 20, 32), depths=(1, 1, 1, 1), q_pooled_sizes=(4, 4, 4, 4))


def tiny_segmentor(num_classes=5, backbone=TINY, head=None, **cfg):
    head = dict(type='LRHead', channels=16, q_pooled_size=4, num_classes=num_classes) | (head or {})
    return MODELS.build(dict(type='EncoderDecoder', backbone=backbone, decode_head=head, **cfg))


def tiny_mask_segmentor(num_classes=5, **cfg):
    head = dict(type='Mask2FormerHead', feat_channels=64, num_queries=9, num_encoder_layers=1, num_decoder_layers=2)
    return MODELS.build(
        dict(type='EncoderDecoder', backbone=TINY, decode_head=dict(**head, num_classes=num_classes), **cfg)
    )


def sample(ori_shape, **meta):
    return SegDataSample(metainfo=dict(ori_shape=ori_shape, **meta))


def annotated(label):
    return SegDataSample(gt_sem_seg=PixelData(data=label[None]))


def smooth(classes, height, width):
    """Scores with large regions, as a trained network gives them."""
    return torch.nn.functional.interpolate(torch.randn(1, classes, 5, 5), size=(height, width), mode='bicubic')[0]


SIZES = [
    ((512, 704), (360, 480)),
    ((64, 96), (64, 96)),
    ((64, 64), (150, 213)),
    ((96, 64), (31, 17)),
    ((32, 32), (1, 1)),
]


class TestScores:
    """Streamed labels are those of two whole resizes and an argmax."""

    @pytest.mark.parametrize(('input_size', 'image_size'), SIZES)
    @pytest.mark.parametrize('make', [smooth, lambda *shape: torch.randn(shape)])
    @pytest.mark.parametrize('chunk', [1, 2**20])
    def test_streamed_labels_are_the_plain_ones(self, input_size, image_size, make, chunk):
        torch.manual_seed(0)
        coarse = make(20, input_size[0] // 8, input_size[1] // 8)
        resize = torch.nn.functional.interpolate
        plain = resize(coarse[None], input_size, mode='bilinear', align_corners=False)
        plain = resize(plain, image_size, mode='bilinear', align_corners=False)[0].argmax(0)
        scores = ImageScores([Window(coarse, 0, 0, *input_size)], input_size, image_size)
        assert torch.equal(scores.labels(chunk), plain)

    def test_equal_scores_give_the_first_class(self):
        coarse = torch.zeros(4, 4, 4)
        assert ImageScores([Window(coarse, 0, 0, 32, 32)], (32, 32), (32, 32)).labels().unique().tolist() == [0]

    def test_channels_last_scores(self):
        coarse = torch.randn(1, 30, 16, 16)
        sizes = (128, 128), (97, 101)
        expected = ImageScores([Window(coarse[0], 0, 0, 128, 128)], *sizes).labels()
        coarse = coarse.contiguous(memory_format=torch.channels_last)
        assert torch.equal(ImageScores([Window(coarse[0], 0, 0, 128, 128)], *sizes).labels(), expected)

    def test_only_beaten_classes_are_left_out(self):
        coarse = torch.zeros(4, 8, 8)
        coarse[1] = 5
        coarse[2, 3, 3] = 6  # highest at one place
        coarse[3] = 4.9999  # beaten everywhere, by less than rounding allows for
        scores = ImageScores([Window(coarse, 0, 0, 64, 64)], (64, 64), (64, 64))
        assert scores.candidates().tolist() == [1, 2, 3]

    def test_padding_and_flip_are_undone(self):
        coarse = torch.randn(3, 8, 12)
        padding = (8, 16, 0, 24)  # left, right, top, bottom
        scores = ImageScores([Window(coarse, 0, 0, 64, 96)], (64, 96), (40, 72), padding, flip='horizontal')
        full = torch.nn.functional.interpolate(coarse[None], (64, 96), mode='bilinear')[0]
        assert torch.equal(scores.at_image_size(), full[:, 0:40, 8:80].flip(2))
        assert torch.equal(scores.labels(), full[:, 0:40, 8:80].flip(2).argmax(0))


@pytest.mark.parametrize('classes', [1, 2, 7, 300])
def test_highest_class_is_the_first_of_equal_ones(classes):
    torch.manual_seed(0)
    scores = torch.randint(-4, 4, (classes, 9, 13)).float()
    scores[:, 0], scores[0, 1] = -torch.inf, torch.inf
    for found, expected in zip(highest_class(scores), scores.max(dim=0), strict=True):
        assert torch.equal(found, expected) and found.dtype is expected.dtype
    scores[:, 0] = torch.nan
    assert highest_class(scores)[1].amax() < classes


class TestMaskScores:
    """Streamed labels are those of whole masks, whole scores and an argmax."""

    @staticmethod
    def windows(Q, C, height, width, halves):
        def window(top, height):
            return Window(
                (3 * torch.randn(Q, C + 1), 5 * torch.randn(Q, -(-height // 4), -(-width // 4))), top, 0, height, width
            )

        return (
            [window(0, 2 * height // 3), window(height // 3, height - height // 3)] if halves else [window(0, height)]
        )

    @pytest.mark.parametrize(('input_size', 'image_size'), SIZES)
    @pytest.mark.parametrize('halves', [False, True])
    @pytest.mark.parametrize('align_corners', [False, True])
    def test_streamed_labels_are_the_plain_ones(self, input_size, image_size, halves, align_corners):
        torch.manual_seed(0)
        windows = self.windows(20, 12, *input_size, halves)
        scores = MaskScores(windows, input_size, image_size, align_corners=align_corners)
        plain = scores.at_image_size().argmax(dim=0)
        for chunk in (1, 20000, 2**21):  # from one row at a time to all of them
            assert torch.equal(scores.labels(chunk), plain)

    def test_plain_scores_are_the_definition(self):
        torch.manual_seed(0)
        (window,) = self.windows(7, 5, 32, 48, halves=False)
        class_logits, masks = window.scores
        resize = torch.nn.functional.interpolate
        masks = resize(masks[None], (32, 48), mode='bilinear')[0].sigmoid()
        expected = torch.einsum('qc,qhw->chw', class_logits.softmax(-1)[:, :-1], masks)
        expected = resize(expected[None], (50, 70), mode='bilinear')[0]
        torch.testing.assert_close(MaskScores([window], (32, 48), (50, 70)).at_image_size(), expected)

    @pytest.mark.parametrize('flip', [None, 'horizontal', 'vertical', 'diagonal'])
    def test_padding_and_flip_are_undone(self, flip):
        torch.manual_seed(0)
        windows = self.windows(7, 5, 64, 96, halves=False)
        padding = (8, 16, 3, 24)  # left, right, top, bottom
        scores = MaskScores(windows, (64, 96), (55, 60), padding, flip)
        plain = MaskScores(windows, (64, 96), (64, 96)).at_image_size()[:, 3:40, 8:80]
        dims = {None: (), 'horizontal': (2,), 'vertical': (1,), 'diagonal': (1, 2)}[flip]
        plain = torch.nn.functional.interpolate(plain.flip(dims)[None], (55, 60), mode='bilinear')[0]
        torch.testing.assert_close(scores.at_image_size(), plain)
        for rows in ((0, 1), (7, 30), (54, 55)):
            torch.testing.assert_close(scores.at_image_rows(*rows), plain[:, slice(*rows)])
        assert torch.equal(scores.labels(3000), plain.argmax(0))

    @pytest.mark.parametrize('image_size', [(300, 310), (256, 256), (40, 30)])
    def test_nothing_of_full_size_is_held(self, monkeypatch, image_size):
        """Neither masks nor scores: the largest tensors are a chunk's."""
        (window,) = self.windows(50, 30, 256, 256, halves=False)
        scores, sizes = MaskScores([window], (256, 256), image_size), []
        for name in ('at_image_rows', '_at_input_rows', '_at_window_rows'):
            original = getattr(MaskScores, name)

            def watch(self, *args, original=original):
                out = original(self, *args)
                sizes.append(out.numel())
                return out

            monkeypatch.setattr(MaskScores, name, watch)
        monkeypatch.setattr(MaskScores, 'at_image_size', None)
        scores.labels(chunk=2**17)
        assert max(sizes) <= 2**18 < 30 * 256 * 256


class TestPrediction:
    def test_labels_come_at_each_images_own_size(self):
        model = tiny_segmentor().eval()
        samples = model(torch.randn(2, 3, 64, 96), [sample((50, 70)), sample((120, 131))], mode='predict')
        assert [tuple(s.pred_sem_seg.data.shape) for s in samples] == [(1, 50, 70), (1, 120, 131)]
        assert samples[0].pred_sem_seg.data.dtype == torch.int64
        assert 'seg_logits' not in samples[0]

    @pytest.mark.parametrize('make', [tiny_segmentor, tiny_mask_segmentor])
    @pytest.mark.parametrize('test_cfg', [dict(mode='whole'), dict(mode='slide', crop_size=(64, 64), stride=(40, 48))])
    def test_streamed_scores_and_plain_agree(self, make, test_cfg):
        torch.manual_seed(0)
        model, image = make(12).eval(), torch.randn(1, 3, 100, 150)
        labels = []
        for mode in (dict(), dict(streamed=False), dict(return_scores=True)):
            model.test_cfg.update(test_cfg, **mode)
            (result,) = model(image, [sample((77, 111))], mode='predict')
            labels.append(result.pred_sem_seg.data)
        assert torch.equal(labels[0], labels[1]) and torch.equal(labels[0], labels[2])
        assert torch.equal(result.seg_logits.data.argmax(0), labels[0][0])

    def test_sliding_averages_where_windows_overlap(self):
        model, image = (
            tiny_segmentor(test_cfg=dict(mode='slide', crop_size=(64, 64), stride=(64, 32))).eval(),
            torch.randn(1, 3, 64, 96),
        )
        with torch.no_grad():
            left, right = model.encode_decode(image[..., :64]), model.encode_decode(image[..., 32:])
            both = model.encode_decode(image)
        torch.testing.assert_close(both[..., :32], left[..., :32])
        torch.testing.assert_close(both[..., 32:64], (left[..., 32:] + right[..., :32]) / 2)
        torch.testing.assert_close(both[..., 64:], right[..., 32:])

    def test_images_of_different_sizes_in_one_batch(self):
        model = tiny_segmentor(data_preprocessor=dict(type='SegDataPreProcessor')).eval()
        images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((64, 96), (96, 64))]
        together = model.test_step(dict(inputs=images, data_samples=[sample((64, 96)), sample((96, 64))]))
        for image, result in zip(images, together, strict=True):
            (alone,) = model.test_step(dict(inputs=[image], data_samples=[sample(tuple(image.shape[1:]))]))
            assert torch.equal(alone.pred_sem_seg.data, result.pred_sem_seg.data)


class TestTraining:
    def test_losses_reach_every_parameter(self):
        model = tiny_segmentor()
        losses = model(
            torch.randn(2, 3, 64, 64),
            [annotated(torch.randint(0, 5, (64, 64))) for _ in range(2)],
            mode='loss',
        )
        assert set(losses) == {'decode.loss_ce', 'decode.acc_seg'}
        losses['decode.loss_ce'].backward()
        assert not [name for name, p in model.named_parameters() if p.grad is None]

    def test_only_ignored_pixels_give_zero_and_no_nan(self):
        model = tiny_segmentor()
        losses = model(
            torch.randn(1, 3, 64, 64).repeat(2, 1, 1, 1),
            [annotated(torch.full((64, 64), 255))] * 2,
            mode='loss',
        )
        losses['decode.loss_ce'].backward()
        assert losses['decode.loss_ce'] == 0
        assert all((p.grad == 0).all() for p in model.parameters())

    def test_auxiliary_heads_log_their_own_losses(self):
        head = dict(type='LRHead', channels=16, q_pooled_size=4, num_classes=5)
        model = tiny_segmentor(auxiliary_head=[head, head])
        losses = model(torch.randn(2, 3, 64, 64), [annotated(torch.zeros(64, 64, dtype=torch.int64))] * 2, mode='loss')
        assert {'decode.loss_ce', 'aux_0.loss_ce', 'aux_1.loss_ce'} <= set(losses)


class TestConfiguration:
    def test_the_head_follows_the_backbone(self):
        model = MODELS.build(
            dict(
                type='EncoderDecoder',
                backbone=dict(type='LRFormer', variant='n'),
                decode_head=dict(type='LRHead', num_classes=3),
            )
        )
        assert model.decode_head.in_channels == [48, 120, 192]
        assert model.decode_head.channels == 128

    def test_what_a_config_says_wins(self):
        head = dict(type='LRHead', num_classes=3, channels=32, in_index=(2, 3), in_channels=(20, 32))
        model = MODELS.build(dict(type='EncoderDecoder', backbone=TINY, decode_head=head))
        assert (model.decode_head.channels, model.decode_head.in_channels) == (32, (20, 32))
        model(torch.randn(2, 3, 32, 32))

    def test_levels_that_the_backbone_does_not_give(self):
        with pytest.raises(ValueError, match=r'in_index=\(1, 2, 3\), but the backbone gives 2 maps'):
            MODELS.build(
                dict(
                    type='EncoderDecoder',
                    backbone=dict(TINY, out_indices=(2, 3)),
                    decode_head=dict(type='LRHead', channels=16, num_classes=3),
                )
            )

    @pytest.mark.parametrize(
        ('test_cfg', 'message'),
        [
            (dict(mod='whole'), "does not know.*'mod'"),
            (dict(mode='tiles'), "'tiles' is not"),
            (dict(mode='slide', crop_size=(64, 64)), 'needs crop_size=.*and stride='),
            (dict(mode='slide', crop_size=(64, 64), stride=(64, 65)), 'leaves gaps'),
        ],
    )
    def test_wrong_test_cfg(self, test_cfg, message):
        with pytest.raises((TypeError, ValueError), match=message):
            tiny_segmentor(test_cfg=test_cfg)

    def test_unknown_head_key(self):
        with pytest.raises(TypeError, match='chanels'):
            tiny_segmentor(auxiliary_head=dict(type='LRHead', chanels=16, channels=16, num_classes=5))


class TestPrecision:
    """model.half() and its kind: inputs follow the parameters, scores come in float32 at least."""

    PREPROCESSOR = dict(type='SegDataPreProcessor', mean=[120.0, 110.0, 100.0], std=[58.0, 57.0, 56.0])

    @pytest.mark.parametrize('make', [tiny_segmentor, tiny_mask_segmentor])
    @pytest.mark.parametrize(('convert', 'error'), [('half', 0.01), ('bfloat16', 0.1), ('double', 1e-5)])
    def test_predicts_and_trains(self, make, convert, error):
        torch.manual_seed(0)
        model = make(data_preprocessor=self.PREPROCESSOR, test_cfg=dict(return_scores=True))
        images = list(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
        truth = [annotated(torch.randint(0, 5, (64, 64))) for _ in images]
        for target in truth:
            target.set_metainfo(dict(ori_shape=(50, 70)))

        def scores():
            with torch.no_grad():
                return model.eval().test_step(dict(inputs=images, data_samples=truth))[0].seg_logits.data

        expected = scores()
        getattr(model, convert)()
        found = scores()
        assert found.dtype == (torch.float64 if convert == 'double' else torch.float32)
        assert (found - expected).abs().max() <= error * expected.abs().max()
        data = model.data_preprocessor(dict(inputs=images, data_samples=truth), training=True)
        losses = model.train()(**data, mode='loss')
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        assert all(p.grad.isfinite().all() and p.grad.dtype == p.dtype for p in model.parameters())

    @pytest.mark.parametrize('dtype', [torch.uint8, torch.float16, torch.float64])
    def test_inputs_of_any_type(self, dtype):
        model, image = tiny_segmentor().eval(), torch.randint(0, 2, (1, 3, 64, 64))
        assert torch.equal(model(image.to(dtype)), model(image.float()))


@MODELS.register_module()
class OneMapHead(BaseDecodeHead):
    def __init__(self, **cfg):
        super().__init__(**cfg)
        self.conv = torch.nn.Conv2d(self.in_channels, self.channels, 1)

    def forward(self, inputs):
        return self.cls_seg(self.conv(self._transform_inputs(inputs)))


ONE_MAP = dict(type='OneMapHead', channels=8, num_classes=5)


class TestNothingIsBuiltInVain:
    """What gets no gradient costs memory, and is an error where several processes train."""

    @pytest.mark.parametrize(
        ('backbone', 'heads', 'stages'),
        [
            (dict(out_indices=(0, 1)), [dict(type='LRHead', channels=16, num_classes=5, in_index=(0, 1))], 2),
            (dict(out_indices=(0, 2)), [dict(type='LRHead', channels=16, num_classes=5, in_index=(0, 1))], 3),
            (dict(out_indices=(2,)), [dict(ONE_MAP, in_index=0)], 3),
            (dict(out_indices=(0,)), [ONE_MAP], 1),
            (dict(), [dict(type='LRHead', channels=16, num_classes=5, in_index=(0, 1))], 2),
            (dict(), [dict(ONE_MAP, in_index=2), dict(ONE_MAP, in_index=0)], 3),
            (dict(), [dict(ONE_MAP, in_index=-3), dict(ONE_MAP, in_index=-2)], 3),
            (dict(), [dict(ONE_MAP, in_index=0), ONE_MAP], 4),
            (dict(out_indices=(3, 1)), [dict(ONE_MAP, in_index=0)], 4),
            (dict(out_indices=(1, 3)), [dict(ONE_MAP, in_index=0)], 2),
            (dict(frozen_stages=4), [dict(ONE_MAP, in_index=1)], 2),
        ],
    )
    def test_everything_that_is_built_learns(self, backbone, heads, stages):
        head, *auxiliary = heads
        cfg = dict(type='EncoderDecoder', backbone=dict(TINY, **backbone), decode_head=head, auxiliary_head=auxiliary)
        model = MODELS.build(cfg).train()
        assert len(model.backbone.stages) == stages
        images, labels = torch.randn(2, 3, 64, 64), [annotated(torch.randint(0, 5, (64, 64))) for _ in range(2)]
        losses = model(images, labels, mode='loss')
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        assert all((p.grad is not None) == p.requires_grad for p in model.parameters())
        whole = MODELS.build(dict(TINY))  # a file with all stages
        weights = {f'backbone.{name}': value for name, value in whole.state_dict().items()}
        weights |= {name: value for name, value in model.state_dict().items() if name.startswith(('decode', 'aux'))}
        load_model_weights(model, weights, source='a.pth')
        model.load_state_dict(weights, strict=True)
        kept = model.backbone.out_indices
        maps, expected = model.eval().backbone(images), whole.eval()(images)
        assert all(torch.equal(x, expected[i]) for x, i in zip(maps, kept, strict=True))

    def test_the_heads_read_the_maps_that_they_name(self):
        model = MODELS.build(dict(type='EncoderDecoder', backbone=TINY, decode_head=dict(ONE_MAP, in_index=-3)))
        assert (model.decode_head.in_index, model.decode_head.in_channels) == (1, 16)

    def test_the_log_names_what_went_unused(self, monkeypatch):
        lines = []
        for module in ('segmentors.encoder_decoder', 'backbones.base'):
            monkeypatch.setattr(f'mmseg.models.{module}.print_log', lambda text, **_: lines.append(text))
        model = MODELS.build(dict(type='EncoderDecoder', backbone=TINY, decode_head=dict(ONE_MAP, in_index=1)))
        weights = MODELS.build(dict(type='EncoderDecoder', backbone=TINY, decode_head=ONE_MAP)).state_dict()
        weights = {k: v for k, v in weights.items() if 'decode_head' not in k} | model.decode_head.state_dict(
            prefix='decode_head.'
        )
        load_model_weights(model, weights, source='a.pth')
        excess = sum('.stages.2.' in name or '.stages.3.' in name for name in weights)
        assert lines == [
            "2 of the backbone's 4 maps are read by no head, and are not computed",
            f'{excess} entries of stages after the first 2 were not needed',
        ]

    def test_a_file_of_another_variant_is_still_told_apart(self):
        model = MODELS.build(dict(type='LRFormer', variant='t', out_indices=(0, 1)))
        with pytest.raises(ValueError, match="the file holds variant 's'"):
            load_model_weights(model, MODELS.build(dict(type='LRFormer', variant='s')).state_dict(), source='s.pth')

    def test_a_backbone_that_cannot_drop_maps(self, monkeypatch):
        lines = []
        monkeypatch.setattr('mmseg.models.segmentors.encoder_decoder.print_log', lambda text, **_: lines.append(text))
        monkeypatch.delattr(StagedBackbone, 'keep_maps')
        model = MODELS.build(dict(type='EncoderDecoder', backbone=TINY, decode_head=dict(ONE_MAP, in_index=1)))
        assert 'leave them out of its out_indices' in lines[0] and len(model.backbone.stages) == 4

    def test_several_decode_heads(self):
        backbone = MODELS.build(TINY)
        heads, none = _drop_unread_maps(backbone, [dict(ONE_MAP, in_index=-3), dict(ONE_MAP, in_index=0)], None)
        assert [head['in_index'] for head in heads] == [1, 0] and none is None and len(backbone.stages) == 2

    @pytest.mark.parametrize('in_index', [4, -5, (0, 4)])
    def test_maps_that_do_not_exist(self, in_index):
        with pytest.raises(ValueError, match='but the backbone gives 4 maps'):
            MODELS.build(dict(type='EncoderDecoder', backbone=TINY, decode_head=dict(ONE_MAP, in_index=in_index)))

    @pytest.mark.parametrize('cfg', [dict(num_levels=1), dict(num_levels=4), dict(in_index=(0, 1), num_levels=2)])
    def test_queries(self, cfg):
        head = dict(type='Mask2FormerHead', feat_channels=64, num_queries=9, num_encoder_layers=1, num_decoder_layers=1)
        cfg = dict(type='EncoderDecoder', backbone=TINY, decode_head=dict(head, num_classes=5, **cfg))
        model = MODELS.build(cfg).train()
        images, labels = torch.randn(2, 3, 64, 64), [annotated(torch.randint(0, 5, (64, 64))) for _ in range(2)]
        sum(model(images, labels, mode='loss').values()).backward()
        assert all(p.grad is not None for p in model.parameters())
