import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('onnx', reason='the extra "export" is not installed')
pytest.importorskip('onnxruntime', reason='the extra "export" is not installed')

from mmseg.apis import MMSegInferencer, inference_model, init_model, predict
from mmseg.engine.launch import test as run_test
from mmseg.models.segmentors.scores import ImageScores, MaskScores
from mmseg.runtimes.segmentor import use_exported

from . import tiny

RUNTIMES = ('onnxruntime', 'openvino')


def images(count=2, height=50, width=70):
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


@pytest.fixture(scope='module')
def segmentor():
    return tiny.model()


@pytest.fixture(scope='module')
def file(segmentor, tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp('exported') / 'model.onnx', segmentor)


def exported(file, backend=None, **options):
    if backend == 'openvino':
        pytest.importorskip('openvino', reason='the extra "export" is not installed')
    return init_model(file, backend=backend, **options)


def test_a_file_made_with_drawn_scenes_reads_images(segmentor, tmp_path):
    drawn = tiny.model()
    drawn.cfg.test_dataloader.dataset = dict(type='SceneDataset', pipeline=[dict(type='PackSegInputs')])
    model = exported(tiny.write(tmp_path / 'model.onnx', drawn))
    [image] = images(1)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    for source in (str(tmp_path / 'image.png'), image):
        labels = inference_model(model, source).pred_sem_seg.data
        assert torch.equal(labels, inference_model(drawn, source).pred_sem_seg.data)


@pytest.mark.parametrize('backend', RUNTIMES)
def test_a_file_is_a_model_like_any(segmentor, file, backend):
    model = exported(file, backend)
    assert not model.training
    assert model.dataset_meta['classes'] == list(tiny.CLASSES) and model.dataset_meta['palette'] == tiny.PALETTE
    theirs, ours = inference_model(segmentor, images(), scores=True), inference_model(model, images(), scores=True)
    for a, b in zip(ours, theirs, strict=True):
        assert len(torch.unique(b.pred_sem_seg.data)) == 3
        torch.testing.assert_close(a.seg_logits.data, b.seg_logits.data, rtol=1e-4, atol=1e-4)
        assert (a.pred_sem_seg.data == b.pred_sem_seg.data).float().mean() > 0.999
    inferencer = MMSegInferencer(model if backend == 'openvino' else file)
    whole = inferencer(images(), batch_size=2, return_vis=False)['predictions']
    np.testing.assert_array_equal(whole, [sample.pred_sem_seg.data[0] for sample in ours])


@pytest.mark.parametrize('options', (dict(), dict(tta=True), dict(tile=32, overlap=8), dict(batch_size=2)))
def test_predict_writes_the_same_labels(segmentor, file, options, tmp_path):
    for i, image in enumerate(images()):
        (tmp_path / 'in').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f'in/{i}.png'), image)
    for name, model in (('torch', segmentor), ('file', file)):
        assert predict(model, tmp_path / 'in', tmp_path / name, save=['labels'], **options).done == 2
    for i in range(2):
        a, b = (cv2.imread(str(tmp_path / name / f'labels/{i}.png'), -1) for name in ('torch', 'file'))
        assert (a == b).mean() > 0.999


@pytest.mark.parametrize('backend', RUNTIMES)
def test_test_gives_the_same_scores(segmentor, file, backend, tmp_path):
    exported(file, backend)
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    for i, image in enumerate(images(3)):
        cv2.imwrite(str(tmp_path / f'images/{i}.png'), image)
        cv2.imwrite(str(tmp_path / f'labels/{i}.png'), image[..., 0] % 3)
    torch.save(dict(state_dict=segmentor.state_dict()), tmp_path / 'model.pth')
    scores = []
    for weights in (str(tmp_path / 'model.pth'), None):
        cfg = tiny.config()
        if weights is None:
            use_exported(cfg, file, backend)
        cfg.work_dir = str(tmp_path / 'runs')
        cfg.test_dataloader.dataset.update(
            data_prefix=dict(img_path=f'{tmp_path}/images', seg_map_path=f'{tmp_path}/labels'), img_suffix='.png'
        )
        scores.append(run_test(cfg, weights)['mIoU'])
    assert scores[0] == pytest.approx(scores[1], abs=0.01)


def test_the_scores_come_to_labels_in_the_usual_ways(segmentor, file, tmp_path):
    masks = tiny.write(tmp_path / 'masks.onnx', segmentor, (1, None, None), output='masks')
    x = torch.randn(1, 3, 64, 96)
    assert type(next(exported(file).image_scores(x, [sample()]))) is ImageScores
    scores = next(exported(masks).image_scores(x, [sample()]))
    assert type(scores) is MaskScores
    logits = segmentor._scores(x)
    expected = torch.nn.functional.interpolate(logits, (64, 96), mode='bilinear')[0].argmax(0)
    assert (scores.labels() == expected).float().mean() > 0.999  # each query is as sure of its class as the others
    sliding = exported(file, cfg_options={'model.test_cfg': dict(mode='slide', crop_size=(32, 32), stride=(16, 16))})
    assert len(next(sliding.image_scores(x, [sample()])).windows) == 15


def sample():
    from mmseg.structures import SegDataSample

    return SegDataSample(metainfo=dict(ori_shape=(64, 96)))


def test_a_fixed_batch_is_filled_up(segmentor, file, tmp_path):
    fixed = exported(tiny.write(tmp_path / 'two.onnx', segmentor, (2, None, None)))
    x = torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(fixed._scores(x), segmentor._scores(x), rtol=1e-4, atol=1e-4)


def test_a_fixed_size_takes_smaller_images_and_refuses_larger_ones(segmentor, tmp_path):
    model = exported(tiny.write(tmp_path / 'fixed.onnx', segmentor, (None, 64, 96)))
    assert inference_model(model, images(1, 40, 90)[0]).pred_sem_seg.data.shape == (1, 40, 90)
    with pytest.raises(ValueError, match=r'fixed.onnx was exported for images of 64x96 .* as 96x96.*--size.*slide'):
        inference_model(model, images(1, 90, 60)[0])
    slide = dict(mode='slide', crop_size=(64, 96), stride=(64, 96))
    model = exported(model.file, cfg_options={'model.test_cfg': slide})
    assert inference_model(model, images(1, 90, 60)[0]).pred_sem_seg.data.shape == (1, 90, 60)


def test_a_config_may_say_how_images_are_seen(file):
    cfg = tiny.config()
    cfg.test_dataloader.dataset.pipeline[1].scale = (192, 128)
    seen = []
    for model in (init_model(cfg, file), init_model(file)):
        run = model.run
        model.run = lambda x, run=run: seen.append(tuple(x.shape)) or run(x)
        inference_model(model, images(1, 60, 90)[0])
    assert seen == [(1, 3, 128, 192), (1, 3, 64, 96)]


def damaged(file, tmp_path, size):
    path = tmp_path / 'cut.onnx'
    path.write_bytes(Path(file).read_bytes()[:size])
    return path


@pytest.mark.parametrize('backend', RUNTIMES)
@pytest.mark.parametrize('size', (0, 100, 1500))
def test_a_file_that_was_cut_is_refused(file, tmp_path, backend, size):
    with pytest.raises(ValueError, match='cut.onnx: .*(cannot read it|no entry)'):
        exported(damaged(file, tmp_path, size), backend)


def test_files_of_others_and_of_later_versions_are_refused(segmentor, file, tmp_path):
    metadata = vars(init_model(file).metadata)
    later = json.dumps({**metadata, 'format': 99, 'version': '9.0'})
    for entry, message in (
        ('', 'not written by `lrformer export`'),
        (later, 'lrformer 9.0 in format 99.*update lrformer'),
    ):
        with pytest.raises(ValueError, match=f'other.onnx: .*{message}'):
            init_model(tiny.write(tmp_path / 'other.onnx', segmentor, entry=entry))


@pytest.mark.parametrize('runtime', RUNTIMES)
def test_a_missing_runtime_says_what_to_install(segmentor, tmp_path, runtime, monkeypatch):
    file = tiny.write(tmp_path / 'other.onnx', segmentor)
    monkeypatch.setitem(sys.modules, runtime, None)
    with pytest.raises(ModuleNotFoundError, match=rf'{runtime} is not installed: pip install "lrformer\[export\]"'):
        init_model(file, backend=runtime)


def test_mistakes_are_named(file, segmentor, tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.onnx does not exist'):
        init_model(tmp_path / 'gone.onnx')
    with pytest.raises(ValueError, match="backend='tensorrt' is none of onnxruntime, openvino"):
        init_model(file, backend='tensorrt')
    with pytest.raises(ValueError, match='onnxruntime reads .onnx files alone'):
        init_model(tmp_path / 'model.xml', backend='onnxruntime')
    with pytest.raises(ValueError, match='backend=.openvino. is for exported files'):
        init_model(tiny.config(), backend='openvino')
    with pytest.raises(ValueError, match='half: for networks that run in PyTorch'):
        predict(file, images(1), tmp_path / 'out', half=True)
    with pytest.raises(ValueError, match="an exported network predicts only; mode='loss'"):
        init_model(file)(torch.zeros(1, 3, 64, 64), mode='loss')
    with pytest.raises(ValueError, match='has no test pipeline in it.*give the config'):
        init_model(tiny.write(tmp_path / 'bare.onnx', segmentor, pipeline=None))


def test_data_of_other_classes_are_refused(file, tmp_path):
    cfg = tiny.config()
    use_exported(cfg, file, None)
    cfg.work_dir = str(tmp_path)
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images/0.png'), images(1)[0])
    cfg.test_dataloader.dataset.update(
        metainfo=dict(classes=('a', 'b'), palette=None),
        data_prefix=dict(img_path=f'{tmp_path}/images'),
        img_suffix='.png',
    )
    with pytest.raises(ValueError, match='model.onnx was exported with 3, test_dataloader.dataset .* has 2'):
        run_test(cfg, None)


@pytest.mark.parametrize('backend', RUNTIMES)
def test_a_file_with_the_whole_way_in_it_gives_labels_at_the_image_s_own_size(segmentor, tmp_path, backend):
    model = exported(tiny.write_labeller(tmp_path / 'labels.onnx', segmentor), backend)
    several = [*images(2), images(1, 40, 130)[0]]
    for image, sample in zip(several, inference_model(model, several, batch_size=3), strict=True):
        np.testing.assert_array_equal(sample.pred_sem_seg.data[0], image[..., ::-1].argmax(-1))  # OpenCV reads BGR
    assert predict(model, several, tmp_path / 'out', save=['labels']).done == 3
    with pytest.raises(ValueError, match='labels.onnx gives labels alone'):
        inference_model(model, several[0], scores=True)
