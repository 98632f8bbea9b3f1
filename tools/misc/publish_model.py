"""Strip a checkpoint for others: python tools/misc/publish_model.py IN OUT."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import run  # noqa: E402

if __name__ == '__main__':
    run('publish')
