"""What the backbones of mmsegmentation share: pretrained weights, frozen stages, norms that do not learn."""

from mmengine.logging import print_log
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg.utils.errors import require

from ..utils import PretrainedModule, freeze_parts


class Backbone(PretrainedModule):
    """Loads pretrained weights strictly, and keeps what is frozen as it is while the rest trains.

    Args:
        pretrained: file or address of weights, short for ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        init_cfg: mmengine's; weights are fetched and read by :meth:`init_weights`, never by the constructor.
        norm_eval: batch norms keep their statistics in training.

    Attributes:
        out_channels: channels of the maps returned, from which heads take theirs.
    """

    MAY_GO_UNUSED = r'(fc|head|classifier)\.'  # of an image classification network
    recordable = True

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
        if self.init_cfg:  # the constructor has drawn all weights
            super().init_weights()


class StagedBackbone(Backbone):
    """A backbone whose maps come one after the other: what follows the last one returned is not kept.

    Attributes:
        num_stages: how many there would be.
        out_indices: the stages whose maps are returned.
    """

    num_stages: int
    out_indices: tuple[int, ...]

    def stage_parts(self, stage: int) -> list[str]:
        """Paths of the modules that only this stage's map and those after it need."""
        raise NotImplementedError

    def unread_parts(self) -> list[str]:
        return [path for i in range(max(self.out_indices) + 1, self.num_stages) for path in self.stage_parts(i)]

    def drop_unread(self) -> None:
        """Leaves out what no map that is returned needs; for the end of a constructor."""
        unread = self.unread_parts()
        self.frozen = [path for path in self.frozen if path not in unread]
        for path in unread:
            parent, _, name = path.rpartition('.')
            if (owner := dict(self.named_modules()).get(parent)) is not None:
                owner._modules.pop(name, None)

    def keep_maps(self, count: int) -> None:
        """From now on returns the first ``count`` maps only, without the stages that those do not need."""
        self.out_indices, self.out_channels = self.out_indices[:count], self.out_channels[:count]
        self.drop_unread()

    def convert_published(self, state_dict: dict, prefix: str) -> None:
        """Leaves out published entries of stages that are not there, in place."""
        unread = tuple(f'{prefix}{path}.' for path in self.unread_parts())
        if excess := [name for name in state_dict if unread and name.startswith(unread)]:
            for name in excess:
                del state_dict[name]
            print_log(
                f'{len(excess)} entries of stages after the first {max(self.out_indices) + 1} were not needed',
                logger='current',
            )

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        self.convert_published(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)
