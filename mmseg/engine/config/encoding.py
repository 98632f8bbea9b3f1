"""Config files as other systems write them."""

from pathlib import Path

from mmengine.config import Config

from mmseg.utils.text_file import require_plain


def require_plain_config(path: str | Path) -> None:
    """Refuse a config file that mmengine cannot read as text, or one that it inherits from, by its name.

    Raises:
        ValueError: it is not UTF-8 (the message says where), or begins with a byte-order mark.
    """
    require_plain(path)
    for base in Config._get_base_files(str(path)):
        inherited, package = Config._get_cfg_path(base, str(path))
        if package is None and Path(inherited).is_file():
            require_plain_config(inherited)
