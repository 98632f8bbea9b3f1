from unittest.mock import mock_open, patch

import pytest
import torch

from mmseg.engine import amp


@pytest.mark.parametrize(
    ('flags', 'native'),
    [('flags\t: fpu avx2 avx512_bf16 sse', True), ('flags\t: fpu avx2', False), ('Features\t: fp asimd bf16', True)],
)
def test_auto_chooses_by_what_the_cpu_has(flags, native, monkeypatch):
    said = []
    monkeypatch.setattr(amp, 'print_log', lambda text, **_: said.append(text))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with patch('builtins.open', mock_open(read_data=f'processor\t: 0\n{flags}\n')):
        assert amp.best_dtype() is (torch.bfloat16 if native else None)
    assert ('bfloat16 on the CPU, which has it' if native else 'none, since this CPU only emulates') in said[0]


def test_a_system_that_does_not_say():
    with patch('builtins.open', side_effect=OSError):
        assert not amp._cpu_has_bfloat16()
