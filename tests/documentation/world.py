"""The files that the pages speak of: photos, data sets, a checkpoint, all of them tiny."""

import itertools
import json
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import torch

from mmseg.cli import main
from mmseg.datasets import SceneDataset
from mmseg.engine.launch import load_config
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules

from ..upstream_configs import TINY
from .blocks import ROOT

CITY = 'lrformer-t-160k_cityscapes-1024x1024'
SCENES = str(ROOT / 'configs_local/lrformer/lrformer-n_scenes-128x128.py')
CLASSES = ('background', 'cat', 'dog')
ADE20K = (1, 2, 3, 4, 5, 6, 128, 137)  # the last are 'bicycle' and 'traffic light'
COLOURS = np.uint8([[0, 0, 0], [0, 0, 255], [9, 9, 9]])  # blue, green, red

_seeds = itertools.count()


def make() -> None:
    """Make them in this folder."""
    for name in ('tools', 'configs_local', 'examples', 'tests', 'docs'):
        os.symlink(ROOT / name, name)
    register_all_modules()
    _pictures()
    _data_sets()
    _configs()
    _trained()
    _published()


def _scenes(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images and labels, others each time."""
    scenes = SceneDataset(num_scenes=count, size=(64, 80), seed=next(_seeds))
    return [(scene['img'], scene['gt_seg_map']) for scene in scenes]


def _write(path: str, pixels: np.ndarray) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(path, pixels)


def _pictures() -> None:
    images = [image for image, _ in _scenes(4)]
    for name in ('a.jpg', 'b.jpg', 'photo.jpg', 'street.jpg', 'photos/a.jpg', 'photos/b.jpg', 'photos/sub/c.jpg'):
        _write(name, images[len(name) % 4])
    Path('images.txt').write_text('photos/a.jpg\nphotos/b.jpg\n')
    Path('last_run').touch()
    os.utime('last_run', (0, 0))
    film = cv2.VideoWriter('drive.mp4', cv2.VideoWriter_fourcc(*'mp4v'), 10, (80, 64))
    for image in images:
        film.write(image)
    film.release()
    bands = np.stack([images[0][..., i % 3] for i in range(5)], axis=2)
    with suppress(ImportError):
        import tifffile

        tifffile.imwrite('bands.tif', bands, planarconfig='contig')
    for name in ('map.tif', 'land.tif'):
        _write(name, np.tile(images[0], (2, 2, 1)))


def _data_set(root: str, images: str, labels: str, values: Sequence[int] = range(8)) -> None:
    """Two pairs, named by patterns with a number in them, with these labels."""
    for number, (image, label) in enumerate(_scenes(2)):
        _write(f'{root}/{images.format(number)}', image)
        _write(f'{root}/{labels.format(number)}', np.uint8(values)[label % len(values)])


def _data_sets() -> None:
    for ade in ('data/ade/ADEChallengeData2016', 'disk/ade/ADEChallengeData2016'):
        for split in ('training', 'validation'):
            name = f'{split}/ADE_{split[:5] if split == "training" else "val"}_{{:08}}'
            _data_set(ade, f'images/{name}.jpg', f'annotations/{name}.png', ADE20K)
    for split in ('train', 'val', 'test'):
        city = f'{split}/aachen/aachen_{{:06}}_000019'
        _data_set('data/cityscapes', f'leftImg8bit/{city}_leftImg8bit.png', f'gtFine/{city}_gtFine_labelTrainIds.png')
        _data_set('data/camvid', f'images/{split}/0001TP_{{:06}}.jpg', f'annotations/{split}/0001TP_{{:06}}.png')
        objects = [dict(label='road', polygon=[[0, 0], [79, 0], [79, 63], [0, 63]])]
        drawn = Path(f'data/cityscapes/gtFine/{split}/bochum/bochum_000000_000019_gtFine_polygons.json')
        drawn.parent.mkdir(parents=True)
        drawn.write_text(json.dumps(dict(imgHeight=64, imgWidth=80, objects=objects)))
    for split in ('train2017', 'val2017'):
        _data_set('data/coco_stuff164k', f'images/{split}/{{:012}}.jpg', f'annotations/{split}/{{:012}}.png')
    for root, classes in {'data/my_dataset': 3, 'data/my images': 2, 'my_data': 3}.items():
        for split in ('train', 'val'):
            _data_set(root, f'images/{split}/{{}}.jpg', f'annotations/{split}/{{}}.png', range(classes))
    Path('my_data/classes.txt').write_text('\n'.join(CLASSES))
    Path('pairs.csv').write_text(
        'image,label,split\n'
        + ''.join(f'my_data/images/train/{i}.jpg,my_data/annotations/train/{i}.png,train\n' for i in range(2))
    )
    for part, values in dict(a=(0, 1), b=(0, 255), c=(0, 1, 2)).items():
        _data_set(f'data/my_dataset/{part}', 'images/{}.jpg', 'masks/{}.png', values)
    for number, (image, label) in enumerate(_scenes(2)):
        _write(f'data/my_dataset/coloured/{number}.jpg', image)
        _write(f'data/my_dataset/colours/{number}.png', COLOURS[label % 3])
        _write(f'data/my_dataset/four/images/{number}.png', np.dstack([image, image[..., :1]]))
        _write(f'data/my_dataset/four/masks/{number}.png', label % 3)


def _configs() -> None:
    Path('my_config.py').write_text(f'_base_ = {SCENES!r}\n')
    Path('wide_head.py').write_text(f'_base_ = {SCENES!r}\nmodel = dict(decode_head=dict(channels=64))\n')
    template = str(ROOT / 'configs_local/lrformer/lrformer-t_custom-dataset.py')
    Path('own_data.py').write_text(f'_base_ = {template!r}\nload_from = None\n')
    _own_data('two_classes.py', ('background', 'road'), 'metainfo=dict(label_map={2: -1})')
    cracks = "data_prefix=dict(img_path='b/images', seg_map_path='b/masks')"
    _own_data('cracks.py', ('background', 'crack'), f'metainfo=dict(label_map={{255: 1}}), {cracks}')
    load = "dict(type='LoadImageFromFile', color_type='unchanged'), dict(type='LoadAnnotations')"
    four = "img_suffix='.png', data_prefix=dict(img_path='four/images', seg_map_path='four/masks')"
    _own_data('four_channels.py', CLASSES, f"pipeline=[{load}, dict(type='PackSegInputs')], {four}")
    base = ROOT / 'configs_local/_base_'
    runs = [str(base / 'schedules/schedule_40k.py'), str(base / 'default_runtime.py')]
    Path('no_model.py').write_text(
        f'_base_ = {[str(base / "datasets/cityscapes_1024x1024.py"), *runs]!r}\n'
        'optim_wrapper = dict(paramwise_cfg=dict(_delete_=True))\n'
    )
    Path('fcn_r50-d8_4xb4-80k_ade20k-512x512.py').write_text(
        f'_base_ = {[str(base / "datasets/ade20k.py"), *runs]!r}\nmodel = {TINY["fcn"]()!r}\n'
    )


def _own_data(name: str, classes: tuple[str, ...], dataset: str) -> None:
    """A config of pairs that says something else of them, in all splits."""
    lines = ["_base_ = './own_data.py'", f'model = dict(decode_head=dict(num_classes={len(classes)}))']
    for split in ('train', 'val', 'test'):
        lines.append(f'{split}_dataloader = dict(dataset=dict({dataset}))')
        lines.append(
            f"{split}_dataloader['dataset'].setdefault('metainfo', {{}}).update(classes={classes}, palette=None)"
        )
    Path(name).write_text('\n'.join(lines))


def _trained() -> None:
    assert main(['train', SCENES, '--work-dir', 'work_dirs/RUN']) == 0
    run = Path('work_dirs/RUN')
    (run / Path(SCENES).name).rename(run / 'RUN.py')
    for name in ('RUN_A', 'RUN_B'):
        shutil.copytree(run, run.with_name(name), copy_function=os.link)
    for name in ('FILE.pth', 'checkpoint.pth', 'best.pth', 'weights.pth', 'data/weights.pth'):
        os.link(run / 'iter_2.pth', name)
    for name in ('config.py', 'data/config.py'):
        shutil.copy(run / 'RUN.py', name)
    assert main(['test', SCENES, 'FILE.pth', '--report', 'report_a']) == 0
    for name in ('report_b', 'report_c'):
        shutil.copytree('report_a', name, copy_function=os.link)
    fcn = 'fcn_r50-d8_4xb4-80k_ade20k-512x512.py'
    torch.save({'state_dict': MODELS.build(load_config(fcn).model).state_dict()}, 'fcn_r50-d8_512x512_80k_ade20k.pth')


def _published() -> None:
    """Random weights in the places of published ones."""
    Path('model_release').mkdir()
    Path('pretrained').mkdir()
    for name in ('lrformer-t-160k_ade20k', 'lrformer-s-160k_ade20k', 'lrformer-l-160k_ade20k', CITY):
        model = MODELS.build(load_config(name).model)
        torch.save({'state_dict': model.state_dict()}, f'model_release/{name}.pth')
    torch.save(model.backbone.state_dict(), 'pretrained/LRFormer_tiny.pth')
    with suppress(ImportError):
        from transformers import SegformerConfig, SegformerForSemanticSegmentation

        sizes = dict(hidden_sizes=[8, 16, 16, 16], depths=[1] * 4, decoder_hidden_size=16)
        network = SegformerForSemanticSegmentation(SegformerConfig(**sizes))
        network.save_pretrained('nvidia/segformer-b0-finetuned-ade-512-512')


def require_tree(text: str) -> None:
    """Assert that folders are as a tree draws them, each with files of the endings that it names."""
    root, *lines = text.splitlines()
    path = [Path(root)]
    for line in lines:
        branch = re.match(r'[│ ]*[├└]── ', line)
        if branch:
            name, *files = line[branch.end() :].split()
            path = [*path[: len(branch[0]) // 4], Path(name)]
        else:
            files = line.strip('│ ').split()
        folder = Path(*path)
        assert folder.is_dir(), f'there is no {folder}'
        for file in files:
            if ending := re.search(r'\D+\.(jpg|png|json)$', file.rstrip(',')):
                assert any(folder.rglob(f'*{ending[0]}')), f'{folder} has no file that ends in {ending[0]}'
