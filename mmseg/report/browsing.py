"""What a pipeline makes of samples, as one picture."""

import random
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from mmengine.dataset import BaseDataset

from mmseg.visualization.blend import blend
from mmseg.visualization.picture import picture_of

Cell = tuple[str, np.ndarray]  # a caption and a picture, H x W x 3, RGB


def augmentations(dataset: BaseDataset, indices: Sequence[int], copies: int, palette: np.ndarray) -> list[list[Cell]]:
    """For each sample a row of what the pipeline makes of it, drawn anew ``copies`` times."""
    rows = []
    for index in indices:
        row = []
        for copy in range(copies):
            _seed(index, copy)
            packed = dataset[index]
            sample, inputs = packed['data_samples'], packed['inputs']
            image = picture_of({}, tuple(inputs.shape[-2:]), inputs)
            row.append((f'{index}.{copy}', _overlaid(image, sample.gt_sem_seg.data[0].numpy(), palette)))
        rows.append(row)
    return rows


def steps(dataset: BaseDataset, index: int, copy: int, palette: np.ndarray) -> list[Cell]:
    """A sample after each step of its pipeline that holds an image."""
    leaf, index = _leaf(dataset, index)
    _seed(index, copy)
    results, row = leaf.get_data_info(index), []
    for step in leaf.pipeline.transforms:
        results = step(results)
        if results is None:
            break
        if isinstance(results, Mapping) and results.get('img') is not None:
            image, labels = np.asarray(results['img']), results.get('gt_seg_map')
            image = image[..., :3] if image.ndim == 3 and image.shape[2] >= 3 else np.dstack([image] * 3)[..., :3]
            image = np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8)[..., ::-1])
            if labels is not None and labels.shape == image.shape[:2]:
                image = _overlaid(image, labels, palette)
            title = f'{type(step).__name__} {image.shape[0]}x{image.shape[1]}'
            row.append((title, image))
    return row


def labels_of(dataset: BaseDataset, index: int) -> np.ndarray:
    """A sample's annotation as it is loaded, before anything is made of it: H x W class indices.

    Raises:
        ValueError: the pipeline loads none.
    """
    leaf, index = _leaf(dataset, index)
    results = leaf.get_data_info(index)
    for step in (None, *leaf.pipeline.transforms):
        results = results if step is None else step(results)
        if isinstance(results, Mapping) and results.get('gt_seg_map') is not None:
            return results['gt_seg_map']
    raise ValueError(f'{type(leaf).__name__}: its pipeline loads no annotations (LoadAnnotations)')


def grid(rows: Sequence[Sequence[Cell]], width: int = 320) -> np.ndarray:
    """Rows of captioned pictures as one, each as wide as ``width``."""
    drawn = []
    for row in rows:
        cells = [_captioned(caption, picture, width) for caption, picture in row]
        height = max(cell.shape[0] for cell in cells)
        cells = [cv2.copyMakeBorder(c, 0, height - len(c), 0, 4, cv2.BORDER_CONSTANT, value=(255,) * 3) for c in cells]
        drawn.append(np.concatenate(cells, axis=1))
    widest = max(row.shape[1] for row in drawn)
    pads = [((0, 4), (0, widest - row.shape[1]), (0, 0)) for row in drawn]
    return np.concatenate([np.pad(row, pad, constant_values=255) for row, pad in zip(drawn, pads, strict=True)])


def _captioned(caption: str, picture: np.ndarray, width: int) -> np.ndarray:
    size = width, max(1, round(picture.shape[0] * width / picture.shape[1]))
    shrinks = width < picture.shape[1]
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
    line = np.full((20, width, 3), 255, np.uint8)
    cv2.putText(line, caption, (3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([line, picture])


def _overlaid(image: np.ndarray, labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    return blend(image, labels, palette, 0.5)


def _leaf(dataset, index: int) -> tuple[BaseDataset, int]:
    """The dataset inside of wrappers that has a sample, and its number there."""
    if hasattr(dataset, 'datasets'):
        part, index = dataset._get_ori_dataset_idx(index)
        return _leaf(dataset.datasets[part], index)
    if hasattr(dataset, 'dataset'):
        return _leaf(dataset.dataset, dataset._get_ori_dataset_idx(index))
    return dataset, index


def _seed(index: int, copy: int) -> None:
    """The same augmentation each time it is asked for."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(1000 * index + copy)
