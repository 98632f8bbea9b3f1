"""Which parameters learn at which rate and decay: by the kind of layer and by where it stands in the model."""

import inspect
import logging

from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from timm.layers import LayerScale, LayerScale2d
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mmseg.models.utils import describe_trainable
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

# _NormBase: batch, synchronised batch and instance norm. Subclasses count too, such as timm's LayerNorm2d.
NORMS = tuple(getattr(nn, name, _NormBase) for name in ('LayerNorm', 'GroupNorm', 'RMSNorm')) + (_NormBase,)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class SegOptimWrapperConstructor:
    """Builds an optimizer with a handful of parameter groups, one for each pair of learning rate and weight decay.

    Args:
        optim_wrapper_cfg: ``type``, ``optimizer`` (with ``lr``, and ``weight_decay`` if any), wrapper arguments.
        paramwise_cfg: any of

            - ``lr_mult``: learning rate multipliers by module path, e.g. ``{'decode_head': 10.0}``. The
              longest path that a parameter lies under decides.
            - ``decay_mult``: weight decay multipliers by module path, likewise; they go before those by kind.
            - ``norm_decay_mult``: for everything in normalisation layers.
            - ``embed_decay_mult``: for ``nn.Embedding``.
            - ``layer_scale_decay_mult``: for timm's layer scales.

    Raises:
        KeyError: an unknown key, or a path under which the model has no parameter.
    """

    KEYS = ('lr_mult', 'decay_mult', 'norm_decay_mult', 'embed_decay_mult', 'layer_scale_decay_mult')

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = self.wrapper_cfg.pop('optimizer')
        if 'lr' not in self.optimizer_cfg:
            raise KeyError('optim_wrapper.optimizer must state lr')
        self.lr = self.optimizer_cfg['lr']
        self.weight_decay = self.optimizer_cfg.get('weight_decay', 0.0)
        rules = dict(paramwise_cfg or {})
        unknown = [key for key in rules if key not in self.KEYS]
        if unknown:
            known = ', '.join(self.KEYS)
            hint = "; lr_mult and decay_mult stand for mmengine's custom_keys" if 'custom_keys' in unknown else ''
            raise KeyError(f'unknown in paramwise_cfg: {", ".join(unknown)} (known: {known}){hint}')
        self.lr_mult = rules.get('lr_mult', {})
        self.decay_mult = rules.get('decay_mult', {})
        self.kinds = [
            (NORMS, rules.get('norm_decay_mult', 1.0)),
            (nn.Embedding, rules.get('embed_decay_mult', 1.0)),
            ((LayerScale, LayerScale2d), rules.get('layer_scale_decay_mult', 1.0)),
        ]

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer for a model's trainable parameters, and its wrapper."""
        model = model.module if is_model_wrapper(model) else model
        self._check_paths(model)
        groups = self._groups(model)
        self._log(model, groups)
        optimizer = OPTIMIZERS.build({**_in_one_kernel(self.optimizer_cfg, groups), 'params': groups})
        return OPTIM_WRAPPERS.build({'type': 'OptimWrapper', **self.wrapper_cfg, 'optimizer': optimizer})

    def _groups(self, model: nn.Module) -> list[dict]:
        groups, seen = {}, set()
        for path, module in model.named_modules():
            for name, parameter in module.named_parameters(prefix=path, recurse=False):
                if id(parameter) in seen or not parameter.requires_grad:
                    continue
                seen.add(id(parameter))
                lr = self.lr * self._lr_scale(name)
                by_kind = self._decay_of_kind(module, name, parameter)
                decay = self.weight_decay * _longest(self.decay_mult, name, by_kind)
                group = groups.setdefault((lr, decay), dict(params=[], lr=lr, weight_decay=decay))
                group['params'].append(parameter)
        if not groups:
            raise ValueError(f'{type(model).__name__} has no trainable parameters')
        return list(groups.values())

    def _lr_scale(self, name: str) -> float:
        return _longest(self.lr_mult, name, 1.0)

    def _decay_of_kind(self, module: nn.Module, name: str, parameter: nn.Parameter) -> float:
        return next((mult for kind, mult in self.kinds if isinstance(module, kind)), 1.0)

    def _check_paths(self, model: nn.Module) -> None:
        names = [name for name, _ in model.named_parameters()]
        for key in ('lr_mult', 'decay_mult'):
            for path in getattr(self, key):
                if not any(_lies_under(name, path) for name in names):
                    tops = ', '.join(dict.fromkeys(name.split('.')[0] for name in names))
                    raise KeyError(
                        f'paramwise_cfg.{key}: the model has no parameters under {path!r}; at its top are {tops}'
                    )

        if still := [path for path, mult in self.lr_mult.items() if not mult]:
            print_log(
                f'paramwise_cfg.lr_mult is 0 for {", ".join(still)}: running statistics still move there, and dropout '
                f'is on; model.freeze={still} stops these as well',
                logger='current',
                level=logging.WARNING,
            )

    @staticmethod
    def _log(model: nn.Module, groups: list[dict]) -> None:
        lines = [
            f'  lr {g["lr"]:.3g}, weight decay {g["weight_decay"]:.3g}: '
            f'{len(g["params"])} tensors, {sum(p.numel() for p in g["params"]):,} parameters'
            for g in groups
        ]
        print_log('\n'.join([f'parameter groups ({describe_trainable(model)}):', *lines]), logger='current')


def _in_one_kernel(optimizer_cfg: dict, groups: list[dict]) -> dict:
    """The optimizer's config with ``fused=True`` where PyTorch has such a kernel and the config does not choose."""
    kind = OPTIMIZERS.get(optimizer_cfg['type']) if isinstance(optimizer_cfg['type'], str) else optimizer_cfg['type']
    chosen = {'fused', 'foreach', 'capturable', 'differentiable'} & set(optimizer_cfg)
    if chosen or 'fused' not in inspect.signature(kind).parameters:
        return optimizer_cfg
    parameters = [parameter for group in groups for parameter in group['params']]
    if not all(p.device.type in ('cpu', 'cuda') and p.is_floating_point() for p in parameters):
        return optimizer_cfg
    return {**optimizer_cfg, 'fused': True}


def _lies_under(name: str, path: str) -> bool:
    return name == path or name.startswith(f'{path}.')


def _longest(multipliers: dict[str, float], name: str, default: float) -> float:
    paths = [path for path in multipliers if _lies_under(name, path)]
    return multipliers[max(paths, key=len)] if paths else default
