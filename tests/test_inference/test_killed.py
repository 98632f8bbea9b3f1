"""A prediction that was killed at any moment and resumed leaves the files of one that was not."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
SAVE = ['overlay', 'labels', 'geojson', 'csv', 'coco']


def carry_out(orders):
    text = '\n'.join(json.dumps(order) for order in orders)
    command = [sys.executable, '-m', 'tests.test_inference.killed']
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split('\n') if line.lstrip('-').isdigit()], done.stderr


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file() and '.predict' not in path.parts
    }


def test_killed_and_resumed_is_undisturbed(tmp_path):
    photos, rng = tmp_path / 'photos', np.random.default_rng(0)
    for i in range(16):
        size = ((64, 96), (80, 64), (96, 96))[rng.integers(3)]
        path = photos / f'{i % 3}' / f'{i:02d}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), size))
    (photos / '1' / 'broken.jpg').write_bytes(b'no image')
    orders = []
    kills = dict(one=[[3, 0.0], [23, 0.003], [45, 0.01], None], three=[[14, 0.01], [35, 0.0], None])
    for name, batch_size in dict(one=1, three=3).items():
        order = dict(inputs=str(photos), save=SAVE, batch_size=batch_size, resume=True, workers=2)
        orders += [dict(order, out_dir=str(tmp_path / name), kill=kill) for kill in kills[name]]
        orders.append(dict(order, out_dir=str(tmp_path / f'{name} whole'), kill=None))
    codes, errors = carry_out(orders)
    assert codes == [1 if order['kill'] is None else -9 for order in orders], errors
    for name in kills:
        killed, whole = content(tmp_path / name), content(tmp_path / f'{name} whole')
        assert len(whole) == 16 * 3 + 2 and killed.keys() == whole.keys()
        for file in whole:
            assert killed[file] == whole[file], (name, file)
