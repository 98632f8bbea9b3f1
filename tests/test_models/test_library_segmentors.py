"""Networks of segmentation_models_pytorch and transformers, trained, resumed and used as any other segmentor."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from PIL import Image

import mmseg.timm  # noqa: F401 (an encoder)
from mmseg.checkpoints import load_checkpoint_file, load_model_weights
from mmseg.cli.main import main
from mmseg.engine.launch import load_config, train
from mmseg.models import EncoderDecoder, HFSegmentor, SMPModel
from mmseg.models.segmentors import library_segmentor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

SEGFORMER = dict(
    model_type='segformer',
    hidden_sizes=[8, 16, 24, 32],
    depths=[1, 1, 1, 1],
    num_attention_heads=[1, 1, 2, 2],
    decoder_hidden_size=16,
)
SWIN = dict(model_type='swin', embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4)
MASK2FORMER = dict(
    model_type='mask2former',
    **dict.fromkeys(('feature_size', 'mask_feature_size', 'hidden_dim', 'dim_feedforward'), 32),
    **dict(encoder_feedforward_dim=32, encoder_layers=1, decoder_layers=2, num_attention_heads=2, num_queries=6),
    train_num_points=64,
    backbone_config=dict(**SWIN, out_features=['stage1', 'stage2', 'stage3', 'stage4']),
)
EOMT = dict(
    model_type='eomt',
    **dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=64, patch_size=8, num_queries=6),
    **dict(num_blocks=2, train_num_points=64, num_upscale_blocks=1),
)
TINY_LRFORMER = dict(encoder_name='tu-lrformer_nano', encoder_weights=None, depths=(1, 1, 1, 1))
NETWORKS = {
    'smp-unet-lrformer': dict(type='SMPModel', arch='Unet', **TINY_LRFORMER),
    'smp-fpn': dict(type='SMPModel', arch='FPN', encoder_name='mobilenet_v2', encoder_weights=None),
    'hf-segformer': dict(type='HFSegmentor', config=SEGFORMER),
    'hf-mask2former': dict(type='HFSegmentor', config=MASK2FORMER),
    'hf-eomt': dict(type='HFSegmentor', config=EOMT),
}


def needs(name: str) -> None:
    library = dict(smp='segmentation_models_pytorch', hf='transformers')[name[: name.index('-')]]
    library = pytest.importorskip(library, reason=f'needs the extra {name[: name.index("-")]}')
    if name == 'hf-eomt' and not hasattr(library, 'EomtForUniversalSegmentation'):
        pytest.skip('this transformers has no EoMT yet')


def build(name: str, num_classes: int = 5, head: dict | None = None, **options):
    needs(name)
    torch.manual_seed(0)
    return MODELS.build(NETWORKS[name] | dict(decode_head=dict(num_classes=num_classes, **(head or {})), **options))


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def samples(labels: torch.Tensor) -> list[SegDataSample]:
    meta = dict(ori_shape=labels.shape[1:], img_shape=labels.shape[1:])
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None]), metainfo=meta) for label in labels]


@pytest.mark.parametrize('name', NETWORKS)
def test_it_trains_resumes_and_predicts(name, tmp_path, monkeypatch):
    needs(name)
    options = {'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2, 'crop_size': (64, 64)}

    def config(work_dir: str):
        cfg = load_config('lrformer-n_scenes-128x128', options, str(tmp_path / work_dir))
        cfg.model = (
            dict(data_preprocessor=cfg.model.data_preprocessor, decode_head=dict(num_classes=8)) | NETWORKS[name]
        )
        cfg.train_dataloader.update(global_batch_size=2)
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.update(num_workers=0, persistent_workers=False)
            loader.dataset.num_scenes = 2
        cfg.default_hooks.checkpoint.update(interval=1)
        cfg.optim_wrapper.paramwise_cfg.pop('lr_mult')  # there is no decode head
        cfg.test_after_train = False
        return cfg

    train(config('whole'))
    cfg = config('resumed')
    train(cfg, resume=str(tmp_path / 'whole/iter_1.pth'))
    whole, resumed = (load_checkpoint_file(tmp_path / f'{run}/iter_2.pth') for run in ('whole', 'resumed'))
    first = load_checkpoint_file(tmp_path / 'whole/iter_1.pth')
    # Their gradients add up in no fixed order on a GPU.
    tolerance = dict(rtol=0, atol=1e-5 if torch.cuda.is_available() else 0)
    torch.testing.assert_close(whole['state_dict'], resumed['state_dict'], **tolerance)
    assert any(not torch.equal(whole['state_dict'][key], value) for key, value in first['state_dict'].items())

    cfg.dump(file := tmp_path / 'config.py')
    cv2.imwrite(str(tmp_path / 'image.png'), np.full((64, 64, 3), 90, np.uint8))
    checkpoint = str(tmp_path / 'whole/iter_2.pth')
    words = ['predict', file, tmp_path / 'image.png', '--checkpoint', checkpoint, '--out', tmp_path / 'out']
    assert main([*words, '--save', 'labels']) == 0
    [labels] = (tmp_path / 'out').rglob('*.png')
    labels = np.array(Image.open(labels))
    assert labels.shape == (64, 64) and labels.max() < 8


@pytest.mark.parametrize('name', NETWORKS)
def test_streamed_labels_are_those_of_whole_scores(name):
    model, x = build(name).eval(), images(2, 3, 64, 64)
    x = x if name == 'hf-eomt' else x[..., :50, :60]  # sides that strides do not divide
    with torch.no_grad():
        streamed = [sample.pred_sem_seg.data for sample in model.predict(x)]
        model.test_cfg['return_scores'] = True
        whole = model.predict(x)
    assert all(torch.equal(a, b.pred_sem_seg.data) for a, b in zip(streamed, whole, strict=True))
    assert whole[0].seg_logits.data.shape == (5, *x.shape[-2:])


def test_it_exports(tmp_path):
    pytest.importorskip('onnx', reason='onnx is part of the extra "export"')
    from mmseg.export import Export, parity
    from mmseg.runtimes.targets import open_file

    work = Export(
        build('smp-fpn', data_preprocessor=dict(type='SegDataPreProcessor', mean=[0] * 3, std=[1] * 3)).eval()
    )
    work.write(tmp_path / 'network.pt2', 'torch')
    _, run = open_file(tmp_path / 'network.pt2', 'torch')
    [comparison] = parity.compare(work, run, [(2, 64, 96)], parity.drawn_pictures(2))
    assert comparison.error < 1e-5 and comparison.equal > 0.999


@pytest.mark.parametrize('name', ['hf-mask2former', 'hf-eomt'])
def test_segments_of_an_image_without_labels(name):
    model = build(name)
    labels = torch.full((2, 64, 64), 255)
    labels[1, :30], labels[1, 30:50] = 0, 3
    masks, classes = model.decode_head(labels)
    assert [list(c) for c in classes] == [[], [0, 3]] and masks[0].shape == (0, 64, 64)
    assert torch.equal(masks[1].sum(dim=(1, 2)), torch.tensor([30 * 64.0, 20 * 64]))
    losses = model(images(2, 3, 64, 64), samples(labels), mode='loss')
    assert list(losses) == ['decode.loss_segments'] and losses['decode.loss_segments'].isfinite()
    losses['decode.loss_segments'].backward()


def test_one_score_for_two_classes_and_losses_of_the_head():
    head = dict(out_channels=1, threshold=0.5, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
    model = build('hf-segformer', 2, head)
    losses = model(images(1, 3, 64, 64), samples(torch.ones(1, 64, 64, dtype=torch.int64)), mode='loss')
    assert set(losses) == {'decode.loss_ce', 'decode.acc_seg'}
    assert set(model.eval().predict(images(1, 3, 64, 64))[0].pred_sem_seg.data.unique().tolist()) <= {0, 1}
    assert model.network.config.num_labels == 1


def test_weights_that_smp_saved_load(tmp_path):
    model = build('smp-fpn')
    theirs = {key: value + 1 for key, value in model.network.state_dict().items()}
    load_model_weights(model, theirs, source='smp')
    torch.testing.assert_close(dict(model.network.state_dict()), theirs)
    other = build('smp-fpn', 7)
    with pytest.raises(ValueError, match='the file has 5 classes, the model 7'):
        load_model_weights(other, theirs, source='smp')
    load_model_weights(other, theirs, source='smp', ignore_mismatched_sizes=True)


@pytest.mark.parametrize('name', ['hf-segformer', 'hf-mask2former'])
def test_pretrained_models_of_transformers(name, tmp_path, monkeypatch):
    published = build(name, 5).network
    published.save_pretrained(tmp_path)
    same = HFSegmentor(name=str(tmp_path), decode_head=dict(num_classes=5))
    same.init_weights()
    torch.testing.assert_close(same.network.state_dict(), published.state_dict())

    said = []
    monkeypatch.setattr('mmseg.models.segmentors.hf_segmentor.print_log', lambda text, **options: said.append(text))
    other = HFSegmentor(name=str(tmp_path), decode_head=dict(num_classes=3))
    other.init_weights()
    [line] = said
    assert 'left at their initial values: ' in line and ('classifier' in line or 'class_predictor' in line)
    left = line.rpartition(': ')[2].split(', ')
    kept = {key: value for key, value in published.state_dict().items() if key not in left}
    torch.testing.assert_close({key: other.network.state_dict()[key] for key in kept}, kept)


def test_pretrained_encoders_are_fetched_when_training_starts(monkeypatch):
    needs('smp-fpn')
    smp = pytest.importorskip('segmentation_models_pytorch', reason='needs the extra smp')
    asked = []

    def fpn(encoder_weights, **options):
        asked.append(encoder_weights)
        return smp.FPN(encoder_weights=None, **options)

    monkeypatch.setattr('mmseg.models.segmentors.smp_model._architecture', lambda *args: fpn)
    model = SMPModel('FPN', 'mobilenet_v2', decode_head=dict(num_classes=4))
    before = {key: value.clone() for key, value in model.network.encoder.state_dict().items()}
    assert asked == [None]
    model.init_weights()
    assert asked == [None, 'imagenet']
    assert any(not torch.equal(value, before[key]) for key, value in model.network.encoder.state_dict().items())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch='Unett'), "arch='Unett' is none of Unet, "),
        (dict(encoder_name='resnet35'), "no encoder 'resnet35'; did you mean .*resnet34"),
        (dict(classes=5), r"'classes'; write decode_head=dict\(num_classes"),
        (dict(decoder_chanels=4), "'decoder_chanels'; Unet takes encoder_name"),
        (dict(decode_head=dict(num_classes=1)), 'num_classes=1 leaves nothing to tell apart'),
    ],
)
def test_mistakes_with_smp_are_named(options, message):
    needs('smp-unet')
    with pytest.raises((TypeError, ValueError), match=message):
        SMPModel(**dict(arch='Unet', encoder_weights=None, decode_head=dict(num_classes=4)) | options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(), "write name='OWNER/REPOSITORY'"),
        (dict(config=dict(model_type='bert')), "no segmentation model of type 'bert'; it has beit, "),
        (dict(config=MASK2FORMER, decode_head=dict(num_classes=1)), 'num_classes=1: two or more'),
    ],
)
def test_mistakes_with_transformers_are_named(options, message):
    needs('hf-segformer')
    with pytest.raises(ValueError, match=message):
        HFSegmentor(**dict(decode_head=dict(num_classes=4)) | options)


def test_a_loss_for_a_network_that_brings_its_own_is_refused():
    with pytest.raises(TypeError, match="unknown key 'loss_decode'"):
        build('hf-mask2former', head=dict(loss_decode=dict(type='CrossEntropyLoss')))


def test_images_of_a_size_that_a_network_does_not_take():
    model = build('hf-eomt').eval()
    with pytest.raises(ValueError, match=r"eomt failed on images of 50x64; its config.image_size is 64x64: .*'slide'"):
        model.predict(images(1, 3, 50, 64))
    model.test_cfg.update(mode='slide', crop_size=(64, 64), stride=(40, 40))
    with torch.no_grad():
        assert model.predict(images(1, 3, 90, 100))[0].pred_sem_seg.data.shape == (1, 90, 100)


def test_a_missing_library_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f'No module named {name!r}', name=name)

    monkeypatch.setattr(library_segmentor.importlib, 'import_module', missing)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "lrformer\[smp\]"'):
        SMPModel('Unet', decode_head=dict(num_classes=4))
    with pytest.raises(ModuleNotFoundError, match=r'pip install "lrformer\[hf\]"'):
        HFSegmentor(config=SEGFORMER, decode_head=dict(num_classes=4))


def test_parts_freeze():
    model = build('smp-unet-lrformer', freeze=['network.encoder']).train()
    assert not any(p.requires_grad for p in model.network.encoder.parameters())
    assert all(p.requires_grad for p in model.network.decoder.parameters())
    assert not isinstance(model, EncoderDecoder)
