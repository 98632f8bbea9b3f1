"""For users of ``python setup.py``; all metadata stands in pyproject.toml."""

from setuptools import setup

setup()
