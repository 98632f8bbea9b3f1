"""Weights to start from, for a model or a part of one."""

from mmengine.model import BaseModule

from mmseg.checkpoints import load_pretrained
from mmseg.zoo import pretrained_file


class PretrainedModule(BaseModule):
    """mmengine's module, whose ``init_cfg=dict(type='Pretrained', checkpoint=FILE, ...)`` loads strictly.

    Beside ``checkpoint``, such an ``init_cfg`` may have ``prefix`` (where the part is in a file of more),
    ``ignore_mismatched_sizes`` and ``adapt_input_channels`` (see :func:`mmseg.checkpoints.load_model_weights`).
    """

    MAY_GO_UNUSED = r'data_preprocessor\.'  # pattern of entries in a file that the module need not have

    def init_weights(self) -> None:
        """Loads what ``init_cfg`` names; the constructor has drawn all other weights.

        Raises:
            ValueError: the file does not fit; the message says what differs.
            TypeError: ``init_cfg`` has a key that does not exist.
        """
        if not isinstance(self.init_cfg, dict) or self.init_cfg.get('type') != 'Pretrained':
            super().init_weights()
            return
        options = {key: value for key, value in self.init_cfg.items() if key not in ('type', 'checkpoint')}
        known = ('prefix', 'ignore_mismatched_sizes', 'adapt_input_channels')
        if unknown := sorted(set(options) - set(known)):
            raise TypeError(
                f"{type(self).__name__}: init_cfg of type 'Pretrained' has no {unknown[0]!r}: beside checkpoint there "
                f'are {", ".join(known)}'
            )
        load_pretrained(self, pretrained_file(self.init_cfg['checkpoint']), may_go_unused=self.MAY_GO_UNUSED, **options)
        self._is_init = True
