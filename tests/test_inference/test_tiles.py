"""Large images: tiles, their blend, what is held of them, and files that are read by windows."""

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mmseg.apis import predict
from mmseg.cli.parser import Parser
from mmseg.cli.predict import add_arguments
from mmseg.inference import Segmentor, TiledSegmentor, tiles
from mmseg.inference.large_image import Decoded, RasterFile, open_large
from mmseg.inference.segmentor import Prepared

from ..test_models.test_seg_tta import PREPROCESSOR, one_score_segmentor
from ..test_models.test_segmentor import tiny_mask_segmentor, tiny_segmentor

CONFIG = Path(__file__).parents[2] / 'configs_local' / 'lrformer' / 'lrformer-n_scenes-128x128.py'


def model_of(make=tiny_segmentor, scale=None):
    torch.manual_seed(0)
    model = make(8, data_preprocessor=PREPROCESSOR).eval()
    model.cfg = Config.fromfile(CONFIG)
    if scale:
        steps = [dict(type='LoadImageFromFile'), dict(type='AlignResize', scale=scale), dict(type='PackSegInputs')]
        model.cfg.test_dataloader.dataset = dict(type='BaseSegDataset', pipeline=steps)
    model.dataset_meta = dict(classes=[f'c{i}' for i in range(model.num_classes)], palette=None)
    return model


def photo(height, width):
    blobs = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC)


def labels_of(segmentor, image):
    (result,) = segmentor.segment([segmentor.prepare(image)], ['a'], [''])
    return result.labels


@given(st.integers(1, 700), st.integers(32, 300), st.floats(0, 0.99))
def test_tiles_cover_an_axis_and_their_weights_add_up(size, side, share):
    overlap = int(share * side)
    cuts = tiles.Cuts.along(size, side, overlap)
    total = torch.zeros(size)
    for start, weights in zip(cuts.starts, cuts.weights, strict=True):
        assert start >= 0 and start + cuts.side <= size and len(weights) == cuts.side
        assert (weights > 0).all()
        total[start : start + cuts.side] += weights
    torch.testing.assert_close(total, torch.ones(size))
    assert all(a + cuts.side - overlap >= b > a for a, b in pairwise(cuts.starts))


def test_a_tile_counts_by_the_distance_to_its_border():
    cuts = tiles.Cuts.along(96, 64, 32)
    assert cuts.starts == [0, 32]
    assert (cuts.weights[0, :32] == 1).all() and (cuts.weights[0, 32:].diff() < 0).all()
    torch.testing.assert_close(cuts.weights[0, 32:], cuts.weights[1, :32].flip(0))


@pytest.mark.parametrize('tta', [False, True])
@pytest.mark.parametrize('make', [tiny_segmentor, tiny_mask_segmentor, one_score_segmentor])
@torch.no_grad()
def test_labels_are_those_of_whole_maps(make, tta, monkeypatch):
    if tta:
        monkeypatch.setattr('mmseg.engine.config.tta.SCALES', (0.5, 1.0))
    segmentor = TiledSegmentor(Segmentor(model_of(make), tta=tta), tile=64, overlap=24, batch_size=2)
    image = photo(101, 150)
    down, across = tiles.Cuts.along(101, 64, 24), tiles.Cuts.along(150, 64, 24)
    total = 0
    for top, of_rows in zip(down.starts, down.weights, strict=True):
        for left, of_columns in zip(across.starts, across.weights, strict=True):
            (scores,) = segmentor._scores([image[top : top + 64, left : left + 64]])
            full = scores.at_image_size()
            if not isinstance(total, torch.Tensor):
                total = torch.zeros(len(full), 101, 150)
            total[:, top : top + 64, left : left + 64] += full * of_rows[:, None] * of_columns
    expected = scores.decide(total)[1].numpy()
    for strip in (1, 8 * 150 * 7, 2**24):
        monkeypatch.setattr(tiles, 'STRIP', strip)
        labels = labels_of(segmentor, image)
        assert labels.dtype == np.uint8 and (labels != expected).mean() < 1e-4  # of equal scores, up to rounding


def test_one_tile_is_the_whole_image():
    model = model_of()
    whole = labels_of(Segmentor(model), photo(96, 128))
    assert np.array_equal(labels_of(TiledSegmentor(Segmentor(model), tile=128), photo(96, 128)), whole)


def test_tiles_keep_the_resolution_of_the_image(monkeypatch):
    """Where the test pipeline would shrink it; sides become multiples of 32."""
    segmentor, seen = TiledSegmentor(Segmentor(model_of(scale=(64, 64))), tile=100, overlap=10), []
    monkeypatch.setattr(segmentor.segmentor.model, 'extract_feat', lambda x: seen.append(tuple(x.shape)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        labels_of(segmentor, photo(300, 300))
    assert seen == [(1, 3, 128, 128)]


def test_only_a_few_rows_of_all_classes_are_held(monkeypatch):
    segmentor, sizes = TiledSegmentor(Segmentor(model_of()), tile=64, overlap=16), []
    image, decide = photo(300, 200), tiles.ImageScores.decide
    monkeypatch.setattr(tiles, 'STRIP', 8 * 200 * 5)
    monkeypatch.setattr(tiles.ImageScores, 'decide', lambda self, x: sizes.append(tuple(x.shape)) or decide(self, x))
    monkeypatch.setattr(tiles.ImageScores, 'at_image_size', None)
    bands = segmentor.bands(Decoded(image))
    assert next(bands)[1].shape == (5, 200)  # labels come before the image is done
    list(bands)
    assert set(sizes) <= {(8, rows, 200) for rows in range(1, 6)}


class TestAuto:
    def test_images_are_cut_when_they_are_too_large(self, monkeypatch, tmp_path):
        segmentor = TiledSegmentor(Segmentor(model_of(scale=(64, 64))))
        assert segmentor.sides == (128, 128) and segmentor.overlap == 32  # of the config's crop_size
        path = str(tmp_path / 'a.png')
        cv2.imwrite(path, photo(200, 200))
        for image in (path, photo(200, 200), PIL.Image.fromarray(photo(200, 200)), torch.zeros(3, 200, 200)):
            with monkeypatch.context() as patch:
                assert isinstance(segmentor.prepare(image), Prepared)
                patch.setattr(tiles, 'WHOLE', 200 * 200 * tiles.OF_IMAGE - 1)
                assert isinstance(segmentor.prepare(image), tiles.Large)

    def test_also_when_the_network_s_input_is(self, monkeypatch):
        monkeypatch.setattr(tiles, 'WHOLE', 128 * 128 * tiles.OF_INPUT)
        segmentor = TiledSegmentor(Segmentor(model_of()))
        assert isinstance(segmentor.prepare(photo(128, 128)), Prepared)
        assert isinstance(segmentor.prepare(photo(128, 160)), tiles.Large)

    def test_scores_come_from_whole_images(self, monkeypatch):
        monkeypatch.setattr(tiles, 'WHOLE', 1)
        assert isinstance(TiledSegmentor(Segmentor(model_of(), scores=True)).prepare(photo(64, 64)), Prepared)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(tile=31), 'neither .auto. nor a side of 32'),
        (dict(tile='small'), 'tile=.small. is neither'),
        (dict(tile=64, overlap=64), 'overlap=64 must be 0 or more and below the side of a tile, 64'),
        (dict(tile=64, overlap=-1), 'overlap=-1'),
    ],
)
def test_what_cannot_be_done_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TiledSegmentor(Segmentor(model_of()), **options)


def test_so_is_what_has_no_coarse_scores(monkeypatch):
    with pytest.raises(ValueError, match='classes x H x W'):
        TiledSegmentor(Segmentor(model_of(), scores=True), tile=64)
    segmentor = Segmentor(model_of())
    segmentor.has_coarse_scores = False
    with pytest.raises(ValueError, match='no image_scores'):
        TiledSegmentor(segmentor, tile=64)
    monkeypatch.setattr(tiles, 'WHOLE', 1)
    assert isinstance(TiledSegmentor(segmentor).prepare(photo(64, 64)), Prepared)


@pytest.mark.parametrize('image', ['nothing.png', np.zeros((4, 4, 5), np.uint8), None])
def test_what_is_no_image_is_refused_before_the_network(image):
    with pytest.raises((OSError, ValueError, TypeError), match='not an image|nothing'):
        TiledSegmentor(Segmentor(model_of()), tile=64).prepare(image)


@pytest.mark.parametrize('shape', [(1, 1), (1, 500), (70, 5)])
def test_the_smallest_images(shape):
    assert labels_of(TiledSegmentor(Segmentor(model_of()), tile=64), photo(*shape)).shape == shape


def test_unsure_and_unwanted_pixels():
    model = model_of()
    plain = labels_of(TiledSegmentor(Segmentor(model), tile=64), photo(100, 120))
    wanted = int(np.bincount(plain.ravel()).argmax())
    only = labels_of(TiledSegmentor(Segmentor(model, only=[f'c{wanted}']), tile=64), photo(100, 120))
    assert np.array_equal(only, np.where(plain == wanted, plain, 255))
    unsure = labels_of(TiledSegmentor(Segmentor(model, threshold=1.0), tile=64), photo(100, 120))
    assert (unsure == 8).all()


class TestPredict:
    def test_tiles_and_views_from_the_command_line(self):
        def read(*words):
            parser = Parser('predict', 'segment', '')
            add_arguments(parser)
            return parser.read(['m', 'a.png', '--out', 'o', *words])

        args = read('--tile', '512', '--overlap', '64', '--tta')
        assert (args.tile, args.overlap, args.tta) == (512, 64, True)
        assert read().tile == 'auto'
        with pytest.raises(SystemExit):
            read('--tile', 'x')

    def test_files_of_a_cut_image(self, tmp_path):
        model, path, out = model_of(), tmp_path / 'a.png', tmp_path / 'out'
        cv2.imwrite(str(path), photo(150, 170))
        options = dict(save=['overlay', 'labels', 'csv', 'geojson'], tile=64, resume=True)
        assert predict(model, path, out, **options).done == 1
        expected = labels_of(TiledSegmentor(Segmentor(model), tile=64), str(path))
        assert np.array_equal(np.array(PIL.Image.open(out / 'labels' / 'a.png')), expected)
        assert predict(model, path, out, **options).skipped == 1
        with pytest.raises(ValueError, match='tile 64, now 128'):
            predict(model, path, out, **{**options, 'tile': 128})

    def test_a_broken_file_is_reported_and_the_others_done(self, tmp_path):
        for name in 'ac':
            cv2.imwrite(str(tmp_path / f'{name}.png'), photo(70, 80))
        (tmp_path / 'b.png').write_bytes((tmp_path / 'a.png').read_bytes()[:500])
        summary = predict(model_of(), tmp_path, tmp_path / 'out', save=['labels'], tile=64, batch_size=4)
        assert (summary.done, summary.failed) == (2, 1) and 'b.png' in summary.errors[0]

    def test_views_change_labels_and_are_probabilities(self, tmp_path):
        model = model_of(scale=(64, 64))
        image = photo(90, 120)
        predict(model, [image], tmp_path / 'plain', save=['labels'])
        predict(model, [image], tmp_path / 'tta', save=['labels', 'scores'], tta=True, threshold=0.1)
        labels = [np.array(PIL.Image.open(tmp_path / d / 'labels' / 'image_000000.png')) for d in ('plain', 'tta')]
        scores = np.load(tmp_path / 'tta' / 'scores' / 'image_000000.npz')['scores'].astype(np.float32)
        np.testing.assert_allclose(scores.sum(0), 1, atol=5e-3)
        assert labels[0].shape == labels[1].shape == (90, 120)


class TestGeoTiff:
    @pytest.fixture
    def land(self, tmp_path):
        rasterio = pytest.importorskip('rasterio')
        image, path = photo(150, 170), tmp_path / 'land.tif'
        place = dict(crs='EPSG:32632', transform=rasterio.transform.from_origin(500000, 5400000, 0.5, 0.5))
        with rasterio.open(path, 'w', driver='GTiff', height=150, width=170, count=3, dtype='uint8', **place) as file:
            file.write(image[..., ::-1].transpose(2, 0, 1))
        return path, image

    def test_it_is_read_by_rows(self, land):
        path, image = land
        large = open_large(str(path), None)
        assert isinstance(large, RasterFile) and large.size == (150, 170)
        assert np.array_equal(large.rows(20, 90), image[20:90]) and np.array_equal(large.picture(), image)
        segmentor = TiledSegmentor(Segmentor(model_of()), tile=64)
        assert np.array_equal(labels_of(segmentor, str(path)), labels_of(segmentor, image))

    def test_labels_keep_its_coordinates(self, land, tmp_path):
        import rasterio

        path, image = land
        model = model_of()
        assert predict(model, path, tmp_path / 'out', save=['geotiff', 'labels'], tile=64).done == 1
        with rasterio.open(path) as given, rasterio.open(tmp_path / 'out' / 'geotiff' / 'land.tif') as file:
            assert file.crs == given.crs and file.transform == given.transform and file.nodata == 255
            labels = file.read(1)
            assert len(file.colormap(1)) == 256
        assert np.array_equal(labels, labels_of(TiledSegmentor(Segmentor(model), tile=64), image))

    def test_other_images_have_none(self, land, tmp_path):
        import rasterio

        predict(model_of(), [land[1]], tmp_path / 'out', save=['geotiff'])
        with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
            file = rasterio.open(tmp_path / 'out' / 'geotiff' / 'image_000000.tif')
        assert file.crs is None and file.shape == (150, 170)

    def test_files_of_other_kinds_are_decoded_once(self, land, tmp_path):
        for name, array in (('grey.tif', land[1][..., 0]), ('sixteen.tif', land[1].astype(np.uint16) * 257)):
            cv2.imwrite(str(tmp_path / name), array)
            large = open_large(str(tmp_path / name), None)
            assert isinstance(large, Decoded) and large.rows(0, 3).shape == (3, 170, 3)
        (tmp_path / 'broken.tif').write_bytes(b'II*\0 nothing')
        with pytest.raises((OSError, ValueError), match=r'broken\.tif'):
            open_large(str(tmp_path / 'broken.tif'), None)


def test_settings_are_plain_data(tmp_path):
    predict(model_of(), [photo(64, 64)], tmp_path / 'out', save=['labels'])
    settings = json.loads((tmp_path / 'out' / '.predict' / 'settings.json').read_text())
    assert (settings['tile'], settings['overlap'], settings['tta']) == ('auto', None, False)
