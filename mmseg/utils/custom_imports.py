"""``custom_imports`` of packages whose parts are resolved here, in configs of mmsegmentation.

mmsegmentation's Mask2Former config imports ``mmdet.models`` while it is read. Where mmdet is not installed there is
nothing to import, and nothing is needed: :mod:`mmseg.models.decode_heads.mask2former_config` knows its parts. Other
parts of these packages are named, with a substitute, where a config asks for them.
"""

import importlib.util

from mmengine.config import config as mmengine_config

PACKAGES = ('mmdet', 'mmpretrain', 'mmcls')
_import_modules = mmengine_config.import_modules_from_strings


def import_modules(imports: str | list[str] | None, allow_failed_imports: bool = False):
    """mmengine's function, which leaves out modules of :data:`PACKAGES` that are not installed."""
    names = [imports] if isinstance(imports, str) else list(imports or [])
    wanted = [name for name in names if not _absent(name.partition('.')[0])]
    return _import_modules(imports if wanted == names else wanted, allow_failed_imports)


def _absent(package: str) -> bool:
    return package in PACKAGES and importlib.util.find_spec(package) is None


mmengine_config.import_modules_from_strings = import_modules
