"""What pyproject.toml cannot say: what stands beside the package in a clone goes into a wheel inside of it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ('configs_local', 'model_release/models.json')


class BuildWithConfigs(build_py):
    """Adds configs and the list of published models as ``mmseg/shipped/``, where mmseg/zoo looks for them."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # finds them in the clone
            return
        shipped = Path(self.build_lib, 'mmseg', 'shipped')
        shutil.rmtree(shipped, ignore_errors=True)
        for name in SHIPPED:
            (shipped / name).parent.mkdir(parents=True, exist_ok=True)
            if Path(name).is_dir():
                shutil.copytree(name, shipped / name, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy(name, shipped / name)


setup(cmdclass={'build_py': BuildWithConfigs})
