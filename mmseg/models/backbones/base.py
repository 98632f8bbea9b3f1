"""What the backbones of mmsegmentation share: pretrained weights, frozen stages, norms that do not learn."""

import re

from mmengine.model import BaseModule
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg.checkpoints import load_checkpoint_file, load_model_weights, local_copy
from mmseg.utils.errors import require

from ..utils import freeze_parts


class Backbone(BaseModule):
    """Loads pretrained weights strictly, and keeps what is frozen as it is while the rest trains.

    Args:
        pretrained: file or address of weights, short for ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        init_cfg: mmengine's; weights are fetched and read by :meth:`init_weights`, never by the constructor.
        norm_eval: batch norms keep their statistics in training.

    Attributes:
        out_channels: channels of the maps returned, from which heads take theirs.
    """

    CLASSIFIER = r'(fc|head|classifier)\.'  # what pretrained weights may have in excess
    OWN = r'$^'  # entries that they may lack, which stay as they were drawn

    def __init__(
        self, pretrained: str | None = None, init_cfg: dict | list | None = None, norm_eval: bool = False
    ) -> None:
        name = type(self).__name__
        require(
            not (pretrained and init_cfg),
            f'{name}: pretrained={pretrained!r} and init_cfg={init_cfg!r} exclude each other; keep init_cfg',
        )
        if pretrained is not None and not isinstance(pretrained, str):
            raise TypeError(f'{name}: pretrained={pretrained!r} must be a file or an address, or None')
        super().__init__(dict(type='Pretrained', checkpoint=pretrained) if pretrained else init_cfg)
        self.norm_eval = norm_eval
        self.frozen: list[str] = []

    def freeze(self, paths: list[str]) -> None:
        """Keeps these parts as they are from now on; for the end of a constructor."""
        self.frozen = paths
        freeze_parts(self, paths)

    def train(self, mode: bool = True) -> 'Backbone':
        super().train(mode)
        freeze_parts(self, self.frozen)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def init_weights(self) -> None:
        """Loads the weights that ``init_cfg`` names; the constructor has drawn all values."""
        if not isinstance(self.init_cfg, dict) or self.init_cfg.get('type') != 'Pretrained':
            if self.init_cfg:
                super().init_weights()
            return
        source = self.init_cfg['checkpoint']
        weights = load_checkpoint_file(local_copy(source))['state_dict']
        prefix = self.init_cfg.get('prefix') or 'backbone.'
        if any(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): v for name, v in weights.items() if name.startswith(prefix)}
        drawn = {name: value for name, value in self.state_dict().items() if re.match(self.OWN, name)}
        load_model_weights(self, drawn | weights, source=source, may_go_unused=self.CLASSIFIER)
        self._is_init = True
