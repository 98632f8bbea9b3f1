"""What a report of a problem should say about where it happened: ``python -m mmseg.utils.collect_env``."""

from importlib.metadata import version

from mmseg.version import __version__


def collect_env() -> dict[str, str]:
    """Versions of Python, PyTorch, CUDA, GPUs, compilers, MMEngine, timm and this package (``LRFormer``), by name."""
    from mmengine.utils.dl_utils import collect_env as environment  # here, as it imports torch

    return {**environment(), 'timm': version('timm'), 'LRFormer': __version__}


if __name__ == '__main__':
    for name, value in collect_env().items():
        print(f'{name}: {value}')
