"""mmsegmentation's build functions, for code that still calls them; new code calls ``MODELS.build``."""

from torch import nn

from mmseg.registry import MODELS


def build_backbone(cfg: dict) -> nn.Module:
    return MODELS.build(cfg)


def build_head(cfg: dict) -> nn.Module:
    return MODELS.build(cfg)


def build_loss(cfg: dict) -> nn.Module:
    return MODELS.build(cfg)


def build_segmentor(cfg: dict) -> nn.Module:
    return MODELS.build(cfg)
