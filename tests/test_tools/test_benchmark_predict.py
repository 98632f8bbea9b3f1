import importlib
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]


def test_both_rates_stand_in_one_table(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / 'tools' / 'analysis_tools'))
    for i in range(3):
        cv2.imwrite(str(tmp_path / f'{i}.png'), np.full((48, 64, 3), i, np.uint8))
    config = ROOT / 'configs_local' / 'lrformer' / 'lrformer-n_scenes-128x128.py'
    words = [config, tmp_path, '--rounds', 1, '--batch', 1, 2, '--device', 'cpu']
    monkeypatch.setattr('sys.argv', ['benchmark_predict.py', *map(str, words)])
    importlib.import_module('benchmark_predict').main()
    table = capsys.readouterr().out
    rows = [line.split('│')[1:-1] for line in table.splitlines() if line.startswith('│')]
    assert [int(row[0]) for row in rows] == [1, 2]
    for _, network, predict, ratio in rows:
        assert float(network) > 0 and abs(float(predict) / float(network) - float(ratio)) < 0.02
