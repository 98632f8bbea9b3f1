"""What the scripts have in common: each is a command of ``lrformer``, of whose ``mmseg`` they make sure."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def require_own_mmseg() -> None:
    """End the program, saying what to do, if ``mmseg`` is missing or is another project's: mmsegmentation's
    package has the same name."""
    spec = importlib.util.find_spec('mmseg')
    if spec is None:
        raise SystemExit(f'the package mmseg is not installed: run  pip install -e "{ROOT}"')
    found = Path(spec.origin) if spec.origin else None
    if found is None or not (found.parent / 'models' / 'backbones' / 'lrformer.py').is_file():
        raise SystemExit(
            f"the package mmseg that Python finds, {found}, is not LRFormer's but another distribution's: "
            f'run  pip uninstall mmsegmentation  and then  pip install -e "{ROOT}"'
        )


def run(command: str) -> None:
    """Do what ``lrformer COMMAND`` does, with the options of this process."""
    require_own_mmseg()
    from mmseg.cli import program

    program([command, *sys.argv[1:]])
