"""Labels that were drawn, written in each format, are the labels that arrive at a model that trains on them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm

from mmseg.datasets.discovery import discover
from mmseg.engine.launch import load_config, train
from mmseg.registry import DATASETS, MODELS
from mmseg.utils import register_all_modules

from .drawn import CLASSES, FORMATS, SIZE, scenes, where

BY_COMMAND = ('coco', 'tiff-bands', 'zip')  # the others take one step without the runner, which is faster


def arriving(config: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Image name -> image and labels, by the datasets of a config and its own loading steps."""
    register_all_modules()
    cfg = Config.fromfile(config)
    found = {}
    for split in ('train', 'val'):
        dataset = cfg[f'{split}_dataloader'].dataset
        load = [step for step in dataset.pipeline if step.type.startswith('Load')]
        for sample in DATASETS.build({**dataset, 'data_root': cfg.data_root, 'pipeline': load}):
            found[Path(sample['img_path']).stem] = sample['img'], sample['gt_seg_map']
    return found


@pytest.mark.parametrize('name', FORMATS)
def test_drawn_labels_arrive_and_train(name, tmp_path):
    writer, kind, options = FORMATS[name]
    made = scenes()
    data = tmp_path / 'data'
    data.mkdir()
    writer(data, made)
    before = sorted(data.rglob('*'))

    found = discover(where(data, name), tmp_path / 'mine.py', iterations=1, size=32, **options)

    assert found.kind == kind
    assert sorted(data.rglob('*')) == before, 'the data itself is left as it was'
    assert tuple(found.classes.names) == CLASSES
    assert sum(found.splits.values()) == len(made) and found.splits['val'] >= 1
    labels = arriving(tmp_path / 'mine.py')
    assert len(labels) == len(made)
    for number, scene in enumerate(made):
        image, drawn = labels[f'{number:06d}' if 'Hugging' in kind else scene.name]
        assert image.shape[:2] == SIZE
        assert np.array_equal(drawn, scene.labels), scene.name
    loss = run_program(tmp_path) if name in BY_COMMAND else one_step(tmp_path / 'mine.py')
    assert np.isfinite(loss)


def run_program(folder: Path) -> float:
    """``lrformer train`` for one iteration and a validation, without processes that load images."""
    options = {'train_dataloader.global_batch_size': 2}
    for split in ('train', 'val'):
        options |= {f'{split}_dataloader.num_workers': 0, f'{split}_dataloader.persistent_workers': False}
    runner = train(load_config(folder / 'mine.py', options, str(folder / 'work')))
    assert runner.iter == 1
    assert 'val/mIoU' in runner.message_hub.log_scalars
    return runner.message_hub.get_scalar('train/loss').current()


def one_step(config: Path) -> float:
    """One step of the optimizer on a batch, by the parts that the config names."""
    cfg = Config.fromfile(config)
    dataset = DATASETS.build({**cfg.train_dataloader.dataset, 'data_root': cfg.data_root})
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batch = model.data_preprocessor(pseudo_collate([dataset[index] for index in range(2)]), training=True)
    assert batch['inputs'].shape[2:] == cfg.crop_size
    loss, _ = model.parse_losses(model(**batch, mode='loss'))
    loss.backward()
    optimizer.step()
    return loss.item()
