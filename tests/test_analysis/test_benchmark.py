import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from mmseg.analysis import benchmark
from mmseg.analysis.benchmark_works import KINDS, Products, parse_work

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, '-m', 'mmseg.cli', 'benchmark']


def turns(seconds, peak=(8.0, 8.0, 8.0)):
    return [
        dict(seconds=s, cpu_seconds=2 * s, page_faults=0, peak_mib=mib) for s, mib in zip(seconds, peak, strict=True)
    ]


def test_ratios_are_those_of_each_round():
    """A machine that slows down from round to round changes no ratio; of the medians' own ratio that is not true."""
    theirs = turns([2.0, 8.0, 32.0], peak=(4.0, 4.0, 4.0))
    result = benchmark.summary(dict(ours=turns([1.0, 4.0, 16.0]), theirs=theirs, control=turns([2.2, 8.0, 30.0])))
    assert result['ours']['seconds'] == 4 and result['theirs']['seconds_ratio'] == 2
    assert result['theirs']['peak_mib_ratio'] == 0.5
    assert result['theirs']['page_faults_ratio'] is None  # of none
    assert result['control']['seconds_noise'] == 1


def test_memory_that_is_unknown_stays_so():
    result = benchmark.summary(
        dict(ours=turns([1.0, 1.0, 1.0], peak=(None, None, None)), theirs=turns([1.0, 1.0, 1.0]))
    )
    assert result['ours']['peak_mib'] is None and result['theirs']['peak_mib_ratio'] is None
    assert benchmark.table(dict(work=result | dict(control=dict(seconds_noise=1.0))), 'title').row_count == 1


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('forward-s-512x704', ('forward', 's', (512, 704))),
        ('train-t+', ('train', 't+', (512, 512))),
        ('pipeline', ('pipeline', 't', (512, 512))),
    ],
)
def test_names_of_works(name, expected):
    assert parse_work(name) == expected


def test_products_are_collected_by_shape_with_their_number():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    x, weight = torch.randn(1, 3, 8, 8), torch.randn(5, 4)
    with Products() as products, torch.no_grad():
        layers(x).mean(dim=(2, 3)) @ weight.T
    counts = sorted((str(function), count) for function, _, _, count in products.calls.values())
    assert counts == [('aten.convolution.default', 1), ('aten.convolution.default', 2), ('aten.mm.default', 1)]


def test_a_work_alone_as_its_products():
    run = KINDS['trainproducts']('n', (64, 64), benchmark.work_options(threads=1, classes=3))
    run()


@pytest.mark.parametrize('name', ['fly-t-32x32', 'forward-t-32', 'forward-t-axb'])
def test_other_names_say_what_there_is(name):
    with pytest.raises(ValueError, match=f'{name}.*KIND-VARIANT-HxW; kinds: forward, predict, train'):
        parse_work(name)


def test_a_folder_or_a_commit_to_compare_with(tmp_path):
    with benchmark.checkout_of(str(tmp_path)) as folder:
        assert folder == tmp_path.resolve()
    with (
        pytest.raises(ValueError, match='no_such_commit: no folder, and no commit'),
        benchmark.checkout_of('no_such_commit'),
    ):
        pass


def test_the_command(tmp_path):
    """One round beside the same checkout, in three processes."""
    command = [*COMMAND, 'forward-n-32x64', '--classes', '3', '--against', ROOT]
    command += ['--rounds', '1', '--warm-up', '0', '--threads', '1', '--json', tmp_path / 'result.json']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['options']['classes'] == 3
    work = result['works']['forward-n-32x64']
    assert set(work) == {'ours', 'theirs', 'control'} and all(work[name]['seconds'] > 0 for name in work)
    assert '1 rounds, 1 threads' in done.stdout


def test_paths_are_meant_from_where_the_command_is_given(tmp_path):
    base = ROOT / 'configs_local/lrformer/lrformer-n_scenes-128x128.py'
    (tmp_path / 'mine.py').write_text(f'_base_ = {str(base)!r}\n')
    (tmp_path / 'classes.txt').write_text('road\ncar\n')
    pixels = np.zeros((32, 40, 3), np.uint8)
    for folder, picture in (('images', pixels), ('labels', pixels[..., 0])):
        (tmp_path / 'data' / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / 'data' / folder / 'a.png'), picture)
    dataset = dict(
        type='BaseSegDataset',
        data_root='data',
        metainfo=dict(classes='classes.txt'),
        img_suffix='.png',
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        pipeline=[dict(type=name) for name in ('LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs')],
    )
    command = [*COMMAND, 'network', '--config', 'mine.py', '--rounds', '1', '--warm-up', '0', '--threads', '1']
    command += ['--cfg-options', f'test_dataloader.dataset={dict(dataset, _delete_=True)}', 'num_classes=2']
    command += ['test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_work_that_fails_ends_the_command():
    command = [*COMMAND, 'forward-n-16x16']  # too small for the network
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert '32x32 is the smallest' in done.stderr and 'forward-n-16x16 with' in done.stderr
