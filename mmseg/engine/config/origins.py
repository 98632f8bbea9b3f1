"""Where each value of a config comes from: which file of those that it inherits states it."""

import os
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from .keys import walk

OPTION = '--cfg-options'


def default_work_dir(config: Path) -> str:
    """Where a run of a config file writes that does not say so."""
    return os.path.join('work_dirs', config.stem)


def origins(path: str | Path) -> dict[str, Path]:
    """For each value of a config file by dotted key the file that states it.

    A value belongs to the base that it is inherited from, and to the file itself where that differs, be it that it
    states another, or computes one. Values are those without parts, and empty dicts and lists.
    """
    path = Path(path).absolute()
    inherited: dict[str, tuple[object, Path]] = {}
    for base in Config._get_base_files(str(path)):
        file = Path(Config._get_cfg_path(base, str(path))[0])
        values = dict(leaves(Config.fromfile(file)._cfg_dict))
        inherited |= {key: (values[key], place) for key, place in origins(file).items()}
    found = {}
    for key, value in leaves(Config.fromfile(path)._cfg_dict):
        before = inherited.get(key)
        found[key] = before[1] if before is not None and before[0] == value else path
    return found


def leaves(cfg: dict) -> Iterator[tuple[str, object]]:
    """Values without parts by dotted key."""
    for key, value in walk(cfg):
        if not (isinstance(value, (dict, list, tuple)) and value):
            yield key, value


def lines(cfg: Config) -> list[str]:
    """``key = value  # file`` for each value of a config that :func:`..launch.load_config` read; of values that an
    option changed, ``--cfg-options``; files are named as seen from that of the config."""
    file = Path(cfg.filename).absolute()
    plain, places = dict(leaves(Config.fromfile(file)._cfg_dict)), origins(file)
    texts = []
    for key, value in leaves(cfg._cfg_dict):
        same = key in plain and plain[key] == value
        place = _seen_from(places[key], file.parent) if same else OPTION
        if key == 'work_dir' and key not in plain and value == default_work_dir(file):
            place = 'by default'
        texts.append((f'{key} = {value!r}', place))
    width = min(max((len(text) for text, _ in texts), default=0), 88)
    return [f'{text:{width}}  # {place}' for text, place in texts]


def _seen_from(file: Path, folder: Path) -> str:
    for up, above in enumerate((folder, *folder.parents)):
        if file.is_relative_to(above) and up <= 2:
            return str(Path(*['..'] * up, file.relative_to(above)))
    return str(file)
