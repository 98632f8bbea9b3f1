"""Where the tests find CamVid, which the project does not contain; see docs/datasets.md."""

import os
from pathlib import Path

import pytest

CAMVID_ROOT = Path(os.environ.get('CAMVID_ROOT') or Path(__file__).parents[2] / 'shared/data/camvid')

needs_camvid = pytest.mark.skipif(
    not (CAMVID_ROOT / 'images').is_dir(), reason='CamVid not found: set CAMVID_ROOT to its folder'
)
