"""Weights to start from, for a model or a part of one."""

from mmengine.model import BaseModule

from mmseg.checkpoints import load_pretrained
from mmseg.zoo import checkpoint_file


class PretrainedModule(BaseModule):
    """mmengine's module, whose ``init_cfg=dict(type='Pretrained', checkpoint=FILE, ...)`` loads strictly.

    Beside ``checkpoint``, such an ``init_cfg`` may have ``prefix`` (where the part is in a file of more),
    ``ignore_mismatched_sizes`` and ``adapt_input_channels`` (see :func:`mmseg.checkpoints.load_model_weights`).
    """

    MAY_GO_UNUSED = r'data_preprocessor\.'  # pattern of entries in a file that the module need not have
    MAY_BE_MISSING = r'(?!)'  # pattern of entries of the module that a file need not have

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
        may = dict(may_go_unused=self.MAY_GO_UNUSED, may_be_missing=self.MAY_BE_MISSING)
        load_pretrained(self, checkpoint_file(self.init_cfg['checkpoint']), **may, **options)
        self._is_init = True
