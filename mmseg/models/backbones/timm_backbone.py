"""Any network of timm as a backbone."""

from functools import partial

import timm
from mmengine.model import BaseModule
from torch import Tensor

from mmseg.registry import MODELS


@MODELS.register_module()
class TIMMBackbone(BaseModule):
    """A timm model by its name: B x C x H x W -> the maps of its stages, finest first.

    Args:
        model_name: as in ``timm.list_models()``, e.g. 'resnet50' or 'convnext_tiny.fb_in22k'.
        features_only: return the stages' maps; False returns one map, the last, in a tuple.
        pretrained: load timm's weights, by :meth:`init_weights`: building a model fetches nothing.
        checkpoint_path: a file of weights that timm reads.
        in_channels: of the image.
        init_cfg: mmengine's.
        kwargs: arguments of ``timm.create_model``: ``out_indices``, ``output_stride``, ``drop_path_rate``, ...
            ``norm_layer`` may name a layer of the registry ('BN2d', 'SyncBN').

    Attributes:
        out_channels: channels of the maps returned.
    """

    def __init__(
        self,
        model_name: str,
        features_only: bool = True,
        pretrained: bool = True,
        checkpoint_path: str = '',
        in_channels: int = 3,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        if not isinstance(pretrained, bool):
            raise TypeError(f'TIMMBackbone: pretrained={pretrained!r} must be True or False')
        super().__init__(init_cfg)
        if isinstance(kwargs.get('norm_layer'), str):
            kwargs['norm_layer'] = MODELS.get(kwargs['norm_layer'])
        self.pretrained = pretrained
        kwargs |= dict(features_only=features_only, in_chans=in_channels)
        self.make = partial(timm.create_model, model_name, **kwargs)
        self.timm_model = self.make(checkpoint_path=checkpoint_path)
        self.features_only = features_only
        self.out_channels = self.timm_model.feature_info.channels() if features_only else [self.timm_model.num_features]

    def init_weights(self) -> None:
        if self.pretrained:
            self.timm_model.load_state_dict(self.make(pretrained=True).state_dict())
        if self.init_cfg:
            super().init_weights()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.timm_model(x) if self.features_only else [self.timm_model.forward_features(x)]
        return tuple(maps)
