"""Scenes written to folders, as the dataset of a user, and ways to spoil them."""

from pathlib import Path

import numpy as np
from PIL import Image

from mmseg.datasets import SceneDataset
from mmseg.datasets.scenes import CLASSES

SPLITS = {'train': 12, 'val': 5}
SIZE = (64, 96)


def write_scenes(root: Path) -> Path:
    """Write images as PNG and JPEG in turn, annotations as PNG: ROOT/images/train/00.png, ..."""
    for split, count in SPLITS.items():
        scenes = SceneDataset(num_scenes=count, size=SIZE, split=split)
        for folder in ('images', 'annotations'):
            (root / folder / split).mkdir(parents=True)
        for index in range(count):
            scene = scenes.get_data_info(index)
            Image.fromarray(scene['img'][..., ::-1]).save(image(root, index, split), quality=95)
            Image.fromarray(scene['gt_seg_map']).save(label(root, index, split))
    return root


def image(root: Path, index: int, split: str = 'train') -> Path:
    return root / f'images/{split}/{index:02d}{".png" if index % 2 else ".jpg"}'


def label(root: Path, index: int, split: str = 'train') -> Path:
    return root / f'annotations/{split}/{index:02d}.png'


def config(root: Path, **changes) -> dict[str, dict]:
    """The datasets of the two splits; ``changes`` go to both."""
    return {
        split: dict(
            type='BaseSegDataset',
            data_root=str(root),
            data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'annotations/{split}'),
            img_suffix=('.jpg', '.png'),
            metainfo=dict(classes=CLASSES),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')],
            **changes,
        )
        for split in SPLITS
    }


def relabel(path: Path, change) -> None:
    """Write ``change(labels)`` in place of the labels; what it returns may be an array or an image."""
    changed = change(np.asarray(Image.open(path)))
    (Image.fromarray(changed) if isinstance(changed, np.ndarray) else changed).save(path)


def relabel_all(root: Path, change) -> None:
    for path in root.glob('annotations/*/*.png'):
        relabel(path, change)
