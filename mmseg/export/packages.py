"""Packages that only some exports need."""

import importlib
from types import ModuleType


def need(package: str, extra: str = 'export') -> ModuleType:
    """The package, or a module of it.

    Raises:
        ModuleNotFoundError: it is not installed; the message says how to get it.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if not package.startswith(error.name):
            raise
        raise ModuleNotFoundError(f'{error.name} is not installed: pip install "lrformer[{extra}]"') from error
