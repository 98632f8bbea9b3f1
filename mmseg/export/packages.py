"""Packages of the extra ``export``."""

import importlib
from types import ModuleType


def need(package: str, extra: str = 'export') -> ModuleType:
    """The package.

    Raises:
        ModuleNotFoundError: it is not installed; the message says how to get it.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ModuleNotFoundError(f'{package} is not installed: pip install "lrformer[{extra}]"') from error
