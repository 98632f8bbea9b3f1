"""Ways of running a network beside each other: what each process is told, and the table."""

import json
from pathlib import Path

from mmseg.analysis.benchmark import work_options
from mmseg.analysis.benchmark_runtimes import table, ways
from mmseg.zoo.catalogue import HOME

FILES = dict(float32=Path('t.onnx'), int8=Path('t-int8.onnx'))


def test_every_file_runs_in_both_runtimes_after_the_networks():
    found = ways('t+', (64, 96), FILES, threads=3, baseline=('926a3b3', Path('/theirs')), compiled=True)
    assert list(found) == [
        *('eager, 926a3b3', 'eager', 'compiled'),
        *('onnxruntime, float32', 'openvino, float32', 'onnxruntime, int8', 'openvino, int8'),
    ]
    assert found['eager, 926a3b3'] == (Path('/theirs'), 'forward-t+-64x96', work_options(3))
    assert found['eager'] == (HOME, 'forward-t+-64x96', work_options(3))
    assert found['compiled'].options == work_options(3, compile=True)
    checkout, work, options = found['openvino, int8']
    assert (checkout, work, options.backend) == (HOME, 'exported-t+-64x96', 'openvino')
    assert options.checkpoint == str(Path.cwd() / 't-int8.onnx')  # the process works in another folder
    assert json.loads(json.dumps(vars(options))) == vars(options)  # which is how the process is told
    assert 'compiled' not in ways('t', (64, 96), FILES, 1, ('a', Path('/a')), compiled=False)


def test_the_table_compares_rounds_with_those_of_the_first_way():
    def turns(*seconds):
        return [dict(seconds=s, cpu_seconds=s, page_faults=0, peak_mib=None) for s in seconds]

    shown = table({'eager, theirs': turns(1.0, 4.0, 16.0), 'eager': turns(0.5, 2.0, 8.0)}, 'title')
    cells = [list(column.cells) for column in shown.columns]
    assert cells[0] == ['eager, theirs', 'eager']
    assert cells[1] == ['4000', '2000'] and cells[3] == ['1.00', '2.00']
