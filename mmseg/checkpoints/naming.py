"""Names of weights without what wrappers, compilers and averagers put around them."""

from collections.abc import Iterable

# Beside the weights in averaged models (mmengine, torch): how often they were averaged.
COUNTERS = r'(steps|n_averaged)$'
# What goes into the path of a weight by torch.compile, activation checkpointing, FSDP and Lightning's Fabric.
_ADDED = ('_orig_mod', '_checkpoint_wrapped_module', '_fsdp_wrapped_module', '_forward_module')


def without_wrappers(name: str) -> str:
    """Without ``_orig_mod.`` and its like anywhere, and without ``module.`` (DDP, averaged models) in front."""
    parts = [part for part in name.split('.') if part not in _ADDED]
    while len(parts) > 1 and parts[0] == 'module':
        del parts[0]
    return '.'.join(parts)


def plain(name: str) -> str:
    """Without ``_orig_mod.``, its like and ``module.`` anywhere, as where only a part of a model was wrapped."""
    *path, last = name.split('.')
    return '.'.join([*(part for part in path if part not in (*_ADDED, 'module')), last])


def shared_prefixes(names: Iterable[str]) -> list[str]:
    """What all names begin with, from nothing to the longest: '', 'model.', 'model.backbone.'."""
    paths = [name.split('.') for name in names]
    prefixes = ['']
    while paths and all(len(path) > len(prefixes) for path in paths):
        prefix = '.'.join(paths[0][: len(prefixes)]) + '.'
        if not all('.'.join(path).startswith(prefix) for path in paths):
            break
        prefixes.append(prefix)
    return prefixes
