"""SegNeXt's head: global context as a low-rank reconstruction. Maps are B x C x H x W.

Sources: Guo et al., SegNeXt, NeurIPS 2022 (arXiv 2209.08575); Geng et al., "Is Attention Better Than Matrix
Decomposition?", ICLR 2021 (arXiv 2109.04553).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..layers import full_precision
from .decode_head import BaseDecodeHead


class NMF2D(nn.Module):
    """x, B x C x H x W and not negative, as bases (C/S x R) times codes (R x HW), by multiplicative updates.

    Args:
        MD_S: groups S of channels, each decomposed on its own.
        MD_R: rank R.
        train_steps, eval_steps: updates.
        inv_t: sharpness of the first codes.
        rand_init: draw the bases in every forward pass; False keeps those of the first one.
    """

    def __init__(
        self,
        MD_S: int = 1,
        MD_R: int = 64,
        train_steps: int = 6,
        eval_steps: int = 7,
        inv_t: float = 1,
        rand_init: bool = True,
    ) -> None:
        super().__init__()
        self.groups, self.rank, self.inv_t, self.rand_init = MD_S, MD_R, inv_t, rand_init
        self.train_steps, self.eval_steps = train_steps, eval_steps

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x):  # products of many factors
            matrix = x.float().unflatten(1, (self.groups, -1)).flatten(0, 1).flatten(2)  # BS x D x N
            with torch.no_grad():
                bases, codes = self.decompose(matrix)
            codes = self.update(codes, matrix.mT, bases)
            return (bases @ codes.mT).view_as(x).to(x.dtype)

    def decompose(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Bases BS x D x R and codes BS x N x R."""
        bases = self.first_bases(matrix)
        codes = (self.inv_t * matrix.mT @ bases).softmax(dim=-1)
        for _ in range(self.train_steps if self.training else self.eval_steps):
            codes = self.update(codes, matrix.mT, bases)
            bases = self.update(bases, matrix, codes)
        return bases, codes

    def first_bases(self, matrix: Tensor) -> Tensor:
        shape = (len(matrix), matrix.shape[1], self.rank)
        if self.rand_init:
            return F.normalize(torch.rand(shape, device=matrix.device), dim=1)
        if not hasattr(self, 'bases'):
            one = F.normalize(torch.rand(self.groups, *shape[1:], device=matrix.device), dim=1)
            self.register_buffer('bases', one, persistent=False)
        return self.bases.repeat(len(matrix) // self.groups, 1, 1)

    @staticmethod
    def update(factor: Tensor, matrix: Tensor, other: Tensor) -> Tensor:
        """One step of ``factor`` towards ``matrix = factor @ other.mT``."""
        return factor * (matrix @ other) / (factor @ (other.mT @ other) + 1e-6)


class Hamburger(nn.Module):
    """relu(x + ham_out(NMF(relu(ham_in(x)))))."""

    def __init__(self, channels: int, ham_kwargs: dict, norm_cfg: dict | None) -> None:
        super().__init__()
        self.ham_in = ConvModule(channels, channels, 1, act_cfg=None)
        self.ham = NMF2D(**ham_kwargs)
        self.ham_out = ConvModule(channels, channels, 1, norm_cfg=norm_cfg, act_cfg=None)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.ham_out(self.ham(F.relu(self.ham_in(x)))))


@MODELS.register_module()
class LightHamHead(BaseDecodeHead):
    """Maps concatenated at the first one's size, squeezed, reconstructed at low rank, classified.

    Args:
        ham_channels: width of the reconstruction.
        ham_kwargs: arguments of :class:`NMF2D`.
        base: as for :class:`BaseDecodeHead`; ``in_channels`` and ``in_index`` name the maps, finest first.
    """

    def __init__(self, ham_channels: int = 512, ham_kwargs: dict | None = None, **base) -> None:
        super().__init__(input_transform='multiple_select', **base)
        self.ham_channels = ham_channels
        layers = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.squeeze = ConvModule(sum(self.in_channels), ham_channels, 1, **layers)
        self.hamburger = Hamburger(ham_channels, ham_kwargs or {}, self.norm_cfg)
        self.align = ConvModule(ham_channels, self.channels, 1, **layers)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self.squeeze(self.resize_concat(self._transform_inputs(inputs)))
        return self.cls_seg(self.align(self.hamburger(x)))
