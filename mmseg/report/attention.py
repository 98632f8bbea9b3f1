"""What LRFormer looks at: for a place in the image, the cells of the low-resolution grids that it attends to.

In an LRSA every cell of the query grid attends to all cells of four coarser grids. The weights, which add up to 1 over
all of them, are taken where PyTorch computes the attention, so that they are the model's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mmseg.models.backbones.lrformer import LRSA


@dataclass
class Attention:
    """One block's attention.

    Attributes:
        name: of the block in the model.
        query_grid: h x w.
        key_grids: h x w of each level of the pyramid.
        weights: heads x queries x keys; keys are the levels' cells one after the other.
    """

    name: str
    query_grid: tuple[int, int]
    key_grids: list[tuple[int, int]]
    weights: Tensor

    def of(self, y: float, x: float) -> list[np.ndarray]:
        """Mean over heads of what the cell at a place (fractions of height and width) gives each level, h x w each."""
        rows, columns = self.query_grid
        cell = min(int(y * rows), rows - 1) * columns + min(int(x * columns), columns - 1)
        weights = self.weights.mean(dim=0)[cell]
        parts = weights.split([h * w for h, w in self.key_grids])
        return [part.reshape(grid).numpy() for part, grid in zip(parts, self.key_grids, strict=True)]

    def density(self, y: float, x: float, size: tuple[int, int]) -> np.ndarray:
        """The levels of :meth:`of` laid over each other, H x W, as weight per area: 1 is even attention."""
        levels = [level * level.size for level in self.of(y, x)]
        return np.sum([cv2.resize(level, size[::-1], interpolation=cv2.INTER_NEAREST) for level in levels], axis=0)


class _Taking(TorchFunctionMode):
    """Takes queries and keys where attention is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Tensor] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is nn.functional.scaled_dot_product_attention:
            query, key = args[:2]
            self.taken.append((query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(dim=-1)[0].float().cpu())
        return function(*args, **(kwargs or {}))


@torch.no_grad()
def attentions(model: nn.Module, inputs: Tensor) -> list[Attention]:
    """The attention of every LRSA of an LRFormer for the first image of B x C x H x W, as normalised for the network.

    Raises:
        ValueError: the model has no LRSA.
    """
    names = {module: name for name, module in model.named_modules() if isinstance(module, LRSA)}
    if not names:
        raise ValueError(f'{type(model).__name__} has no low-resolution self-attention (LRSA) to look at')
    called: list[tuple[LRSA, tuple[int, int]]] = []
    grids: dict[nn.Module, list[tuple[int, int]]] = {}
    hooks = []

    def note(module: LRSA, inputs: tuple, output: Tensor) -> None:
        called.append((module, _size(output)))

    def note_grid(stage: nn.Module):
        return lambda module, inputs, output: grids.setdefault(stage, []).append(_size(output))

    for module in names:
        hooks.append(module.register_forward_hook(note))
    for stage in model.modules():
        if isinstance(pyramid := getattr(stage, 'pyramid', None), nn.ModuleList):
            hooks += [conv.register_forward_hook(note_grid(stage)) for conv in pyramid]
    try:
        with _Taking() as taking:
            model(inputs, mode='tensor')
    finally:
        for hook in hooks:
            hook.remove()
    owner = {block: stage for stage in grids for block in stage.modules() if isinstance(block, LRSA)}
    found = []
    for (module, query_grid), weights in zip(called, taking.taken, strict=True):
        levels = grids[owner[module]][: len(module.kv_sizes)]
        del grids[owner[module]][: len(module.kv_sizes)]
        found.append(Attention(names[module].removesuffix('.attn'), query_grid, levels, weights))
    return found


def _size(x: Tensor) -> tuple[int, int]:
    height, width = x.shape[-2:]
    return height, width


def attention_figure(image: np.ndarray, found: Sequence[Attention], y: float, x: float) -> Figure:
    """The image, H x W x 3, RGB, with a place marked, and for each block where that attends, over its query grid."""
    height, width = image.shape[:2]
    rows = -(-(len(found) + 1) // 4)
    columns = -(-(len(found) + 1) // rows)
    figure = Figure(figsize=(4 * columns, (4 * height / width + 0.4) * rows), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    for axis, attention in zip(axes, [None, *found], strict=False):
        axis.imshow(image if attention is None else gray)
        if attention is None:
            axis.set_title('the place')
        else:
            density = attention.density(y, x, (height, width))
            axis.imshow(density, cmap='inferno', alpha=0.65, vmin=0)
            rows_, columns_ = attention.query_grid
            axis.hlines(np.arange(1, rows_) * height / rows_ - 0.5, -0.5, width - 0.5, colors='w', linewidths=0.2)
            axis.vlines(np.arange(1, columns_) * width / columns_ - 0.5, -0.5, height - 0.5, colors='w', linewidths=0.2)
            axis.set_title(f'{attention.name}: {rows_}x{columns_} cells', fontsize=9)
        axis.plot(
            x * width, y * height, marker='o', markersize=9, markerfacecolor='none', markeredgecolor='cyan', mew=2
        )
    for axis in axes:
        axis.set_axis_off()
    return figure


def feature_figure(image: np.ndarray, maps: Sequence[Tensor]) -> Figure:
    """The image, and maps B x C x h x w of a backbone in the colours of their three principal components."""
    height, width = image.shape[:2]
    figure = Figure(figsize=(4 * (len(maps) + 1), 4 * height / width + 0.4), layout='constrained')
    for axis, picture, title in zip(
        figure.subplots(1, len(maps) + 1),
        [image, *map(principal_colours, maps)],
        ['image', *(f'map {i}: {m.shape[1]} channels, {m.shape[2]}x{m.shape[3]}' for i, m in enumerate(maps))],
        strict=True,
    ):
        axis.imshow(picture, extent=(0, width, height, 0), interpolation='nearest')
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    return figure


def principal_colours(features: Tensor) -> np.ndarray:
    """The first map's three principal components, each from its lowest (0) to its highest value (1): h x w x 3."""
    cells = features[0].detach().float().cpu().flatten(1).T
    cells = cells - cells.mean(dim=0)
    _, _, axes = torch.linalg.svd(cells, full_matrices=False)
    scores = cells @ axes[:3].T
    low, high = scores.amin(dim=0), scores.amax(dim=0)
    scores = (scores - low) / (high - low).clamp(min=1e-12)
    colours = torch.zeros(len(scores), 3)
    colours[:, : scores.shape[1]] = scores
    return colours.reshape(*features.shape[-2:], 3).numpy()
