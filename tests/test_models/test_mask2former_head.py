import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from mmseg.models.decode_heads.mask2former_head import attended_cells
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from tests.published import DATA, PUBLISHED, formula_image, formula_weights

OUTPUTS = np.load(DATA / 'lrformer-t-plus_outputs.npz')
TINY = dict(type='LRFormer', embed_dims=(8, 16, 20, 32), depths=(1, 1, 1, 1), q_pooled_sizes=(4, 4, 4, 4))
SMALL = dict(feat_channels=64, num_queries=7, num_encoder_layers=1, num_decoder_layers=3, decoder_ffn_channels=64)


def segmentor(backbone, num_classes=150, **head):
    head = dict(type='Mask2FormerHead', num_classes=num_classes, **head)
    return MODELS.build(dict(type='EncoderDecoder', backbone=backbone, decode_head=head)).eval()


@pytest.fixture(scope='module')
def published_t_plus():
    model = segmentor(dict(type='LRFormer', variant='t'))
    model.load_state_dict(formula_weights('lrformer-t-plus'), strict=True)
    return model


@pytest.mark.parametrize('size', [(64, 64), (96, 160)])
def test_outputs_of_the_published_t_plus(published_t_plus, size):
    head = published_t_plus.decode_head
    with torch.inference_mode():
        maps = published_t_plus.backbone(formula_image(*size))
        class_logits, mask_logits = head(maps)
        outputs = {'mask_features': head.pixel_decoder(maps)[0][:, ::16]}
        outputs['semantic[::4,::4]'] = head.predict(maps, [dict(img_shape=size)], {})[:, ::10, ::4, ::4]
    for i in (0, 1, 9):
        outputs |= {f'cls{i}': class_logits[i][:, ::4], f'mask{i}': mask_logits[i][:, ::10]}
    for name, output in outputs.items():
        expected = OUTPUTS[f'{size[0]}x{size[1]}/{name}']
        error = np.abs(output.numpy() - expected).max() / np.abs(expected).max()
        assert error <= 1e-5, (name, error)


def test_deterministic_mode_trains_by_other_operations(monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError('its gradient on CUDA has no deterministic kernel')

    sample = torch.nn.functional.grid_sample

    def without_gradient(*args, **kwargs):
        assert not torch.is_grad_enabled()
        return sample(*args, **kwargs)

    monkeypatch.setattr('mmseg.models.layers.deterministic.needed', lambda x: True)  # as on CUDA
    for name in ('adaptive_avg_pool2d', 'interpolate'):
        monkeypatch.setattr(f'torch.nn.functional.{name}', refused)
    monkeypatch.setattr('torch.nn.functional.grid_sample', without_gradient)
    model = segmentor(TINY, num_classes=5, **SMALL, loss_decode=dict(type='Mask2FormerLoss', num_points=50))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 5, (1, 64, 96)))) for _ in range(2)]
    sum(model(torch.randn(2, 3, 64, 96), samples, mode='loss').values()).backward()
    assert not [name for name, value in model.named_parameters() if value.grad is None]


@pytest.mark.parametrize('variant', ['t', 's', 'b', 'l', 'xl'])
def test_published_entries_load_strictly(variant):
    published = PUBLISHED[f'lrformer-{variant}-plus']
    with torch.device('meta'):
        model = segmentor(dict(type='LRFormer', variant=variant))
        weights = {name: torch.empty(shape) for name, shape in published['entries'].items()}
    assert sum(p.numel() for p in model.parameters()) == published['params']
    model.load_state_dict(weights, strict=True, assign=True)


def test_own_checkpoints_load(published_t_plus):
    model = segmentor(dict(type='LRFormer', variant='t'))
    model.load_state_dict(published_t_plus.state_dict(), strict=True)
    expected = published_t_plus.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize('size', [(32, 32), (33, 47), (64, 100), (90, 50)])
@pytest.mark.parametrize('num_levels', [1, 3, 4])
def test_any_size_and_any_number_of_levels(size, num_levels):
    model = segmentor(TINY, num_classes=5, num_levels=num_levels, **SMALL)
    with torch.no_grad():
        class_logits, mask_logits = model(torch.randn(2, 3, *size), mode='tensor')
    side = [-(-s // 4) for s in size]
    assert [tuple(x.shape) for x in class_logits] == [(2, 7, 6)] * 4
    assert [tuple(x.shape) for x in mask_logits] == [(2, 7, *side)] * 4
    (result,) = model(torch.randn(1, 3, *size), mode='predict')
    assert result.pred_sem_seg.shape == size


def test_no_query_attends_to_nothing():
    embeddings = torch.tensor([[[-1.0, 0.0], [0.0, 1.0], [-2.0, 0.0]]])
    features = torch.stack([torch.full((2, 2), 5.0), torch.tensor([[5.0, -5.0], [-5.0, -5.0]])])[None]
    attend = attended_cells(embeddings, features)
    assert attend.tolist() == [[[True] * 4, [True, False, False, False], [True] * 4]]


@pytest.mark.parametrize('shape', [(2, 3), (4, 4), (7, 5)])
def test_attended_cells_are_those_of_the_resized_mask(shape):
    torch.manual_seed(0)
    embeddings, features = torch.randn(2, 5, 32), torch.randn(2, 32, 16, 24)
    masks = torch.einsum('bqc,bchw->bqhw', embeddings, features)
    expected = torch.nn.functional.interpolate(masks, shape, mode='bilinear').flatten(2) >= 0
    resized = torch.nn.functional.interpolate(features, shape, mode='bilinear')
    expected |= ~expected.any(dim=-1, keepdim=True)
    assert torch.equal(attended_cells(embeddings, resized), expected)


def test_attention_stays_inside_the_mask():
    """What lies outside a query's mask does not change it, but for other queries' sake."""
    model = segmentor(TINY, num_classes=5, **SMALL)
    layer = model.decode_head.transformer_decoder['layers'][0]
    x, query_pos, memory, pos = torch.randn(1, 1, 64), torch.randn(1, 64), torch.randn(1, 6, 64), torch.randn(6, 64)
    attend = torch.tensor([[[True, True, False, False, True, False]]])
    other = torch.where(attend[0, 0][None, :, None], memory, torch.randn(1, 6, 64))
    torch.testing.assert_close(layer(x, query_pos, memory, pos, attend), layer(x, query_pos, other, pos, attend))
    assert not torch.allclose(layer(x, query_pos, memory, pos, ~attend), layer(x, query_pos, other, pos, ~attend))


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(num_queries=0), 'num_queries=0 must be at least 1'),
        (dict(num_classes=0), 'num_classes=0 leaves nothing to tell apart'),
        (dict(num_encoder_layers=0), 'num_encoder_layers=0 must be at least 1'),
        (dict(num_decoder_layers=0), 'num_decoder_layers=0 must be at least 1'),
        (dict(in_index=(0, 1, 2, 4)), r'in_index=\(0, 1, 2, 4\), but the backbone gives 4 maps'),
        (dict(num_levels=5), 'num_levels=5 of the 4 maps .* make it 1 to 4'),
        (dict(feat_channels=48), 'feat_channels=48 must be a multiple of 32'),
        (dict(in_channels=(8, 16)), r'in_channels=\[8, 16\] gives not one number for each of in_index'),
    ],
)
def test_sizes_that_cannot_be(cfg, message):
    with pytest.raises(ValueError, match=message):
        segmentor(TINY, **{'num_classes': 5, **cfg})


@pytest.mark.parametrize(
    ('key', 'fix'),
    [
        ('channels', 'feat_channels'),
        ('threshold', 'two classes are two classes'),
        ('num_querys', "did you mean 'num_queries'"),
    ],
)
def test_unknown_keys_name_the_one_to_use(key, fix):
    with pytest.raises(TypeError, match=f'unknown key {key!r}.*{fix}|{fix}'):
        segmentor(TINY, num_classes=5, **{key: {}})


def test_an_image_smaller_than_the_coarsest_stride():
    with pytest.raises(ValueError, match='an input of 31x64 pixels; 32x32 is the smallest'):
        segmentor(TINY, num_classes=5, **SMALL)(torch.randn(1, 3, 31, 64), mode='tensor')


def test_weights_of_another_class_count(tmp_path):
    from mmseg.checkpoints import load_model_weights

    theirs = segmentor(TINY, num_classes=8, **SMALL).state_dict()
    model = segmentor(TINY, num_classes=5, **SMALL)
    with pytest.raises(ValueError, match='the file has 8 classes, the model 5: set decode_head.num_classes'):
        load_model_weights(model, theirs, source='file.pth')
    load_model_weights(model, theirs, source='file.pth', ignore_mismatched_sizes=True)
    assert torch.equal(model.decode_head.query_feat.weight, theirs['decode_head.query_feat.weight'])


def test_inference_under_autocast_is_close_to_float32():
    torch.manual_seed(0)
    model, image = segmentor(TINY, num_classes=5, **SMALL), torch.randn(1, 3, 64, 64)
    plain = model.encode_decode(image)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        half = model.encode_decode(image)
    assert half.dtype == torch.float32
    assert (plain - half).abs().mean() < 0.2 * plain.abs().mean()
