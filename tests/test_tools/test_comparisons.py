"""The tables that set models side by side."""

import importlib
import json
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]


def run(monkeypatch, tool: str, *words) -> None:
    monkeypatch.syspath_prepend(str(ROOT / 'tools' / 'analysis_tools'))
    monkeypatch.setattr('sys.argv', [f'{tool}.py', *map(str, words)])
    importlib.import_module(tool).main()


def rows(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith('|')][2:]  # below the headings
    return [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines]


def test_cost_of_models(tmp_path, monkeypatch, capsys):
    words = ['--shape', 32, 64, '--rounds', 1, '--threads', 1, '--json', tmp_path / 'costs.json']
    run(monkeypatch, 'compare_models', 'lrformer-n_scenes-128x128', *words)
    [row] = rows(capsys.readouterr().out)
    found = json.loads((tmp_path / 'costs.json').read_text())['models']['lrformer-n_scenes-128x128']
    assert row[:2] == ['lrformer-n_scenes-128x128', '1.9 M'] and 0.2 < found['gmacs'] < 0.4
    assert row[3] == f'{found["forward"]["seconds"]:.2f}' and row[5] == f'{found["train"]["seconds"]:.2f}'
    assert found['train']['cpu_seconds'] > found['forward']['cpu_seconds']


def test_scores_at_one_budget(tmp_path, monkeypatch, capsys):
    config = tmp_path / 'few_scenes.py'
    config.write_text(
        f"_base_ = '{ROOT}/configs_local/lrformer/lrformer-n_scenes-128x128.py'\n"
        'train_dataloader = dict(global_batch_size=2)\n'
        'test_dataloader = dict(dataset=dict(num_scenes=2))\n'
    )
    threads = torch.get_num_threads()
    try:
        words = ['--seconds', 0.7, '--measure', 2, '--work-dir', tmp_path / 'runs']
        run(monkeypatch, 'compare_at_budget', config, *words)
    finally:
        torch.set_num_threads(threads)
    [row] = rows(capsys.readouterr().out)[-1:]
    name, parameters, cost, iterations, spent, mIoU, aAcc = row
    assert (name, parameters, int(iterations)) == ('few_scenes', '1.86 M', max(1, round(0.7 / float(cost))))
    assert 0 <= float(mIoU) <= float(aAcc) <= 100
    assert (tmp_path / 'runs' / 'few_scenes' / f'iter_{iterations}.pth').is_file()
