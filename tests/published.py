"""The published models' entries, weights that anyone can rebuild from them, and the outputs those give.

``data/published_entries.json.gz`` lists name and shape of every entry of the published checkpoints.
``data/lrformer-t_outputs.npz`` holds what the published implementation of LRFormer-T computes with
:func:`formula_weights`: the scores, and every fourth channel of the four stages. ``data/lrformer-t-plus_outputs.npz``
is the same of LRFormer-T+: every 16th channel of the mask features, class logits of every fourth query and mask
logits of every tenth one after 0, 1 and 9 decoder layers, and the scores of every tenth class at every fourth pixel.

``data/baseline_entries.json.gz`` and ``data/baseline_outputs.npz`` are the same of models of mmsegmentation: of the
backbone's (and neck's) maps, every eighth channel, the scores and the auxiliary head's scores, each flattened and
thinned out by :func:`thin`.
"""

import gzip
import json
import zlib
from pathlib import Path

import numpy as np
import torch

DATA = Path(__file__).parent / 'data'
PUBLISHED, BASELINES = (
    json.loads(gzip.decompress((DATA / f'{name}_entries.json.gz').read_bytes())) for name in ('published', 'baseline')
)


def formula_weights(model: str) -> dict[str, torch.Tensor]:
    """A published checkpoint's entries with values that follow from their names and shapes."""
    return {name: _formula(name, shape) for name, shape in (PUBLISHED | BASELINES)[model]['entries'].items()}


def _formula(name: str, shape: list[int]) -> torch.Tensor:
    if name.endswith('num_batches_tracked'):
        return torch.zeros(shape, dtype=torch.int64)
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    embedding = name.endswith(('_embed.weight', '_feat.weight', 'level_encoding.weight'))
    if name.endswith('running_var'):
        value = 1 + 0.1 * np.abs(noise)
    elif len(shape) >= 2:
        value = noise if embedding else noise / np.sqrt(np.prod(shape[1:], dtype=int))
    else:
        value = 1 + 0.1 * noise if name.endswith('weight') else 0.1 * noise
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


def formula_image(height: int, width: int, batch: int = 1) -> torch.Tensor:
    seed = zlib.crc32(f'image-{batch}x{height}x{width}'.encode())
    return torch.from_numpy(np.random.RandomState(seed).standard_normal((batch, 3, height, width)).astype(np.float32))


def thin(values: torch.Tensor) -> torch.Tensor:
    """Some 400 of a tensor's values; the step between them is odd, so that it goes through all rows and columns."""
    flat = values.flatten()
    return flat[:: max(1, len(flat) // 400) | 1]
