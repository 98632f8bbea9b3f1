import io

import pytest
from rich.console import Console

from mmseg.utils import progress


def test_a_bar_on_a_terminal_hands_on_all_items(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(progress, 'Console', lambda: Console(file=shown, force_terminal=True, width=120))
    assert list(progress.track('abc', 3, 'read', 'images')) == [*'abc']
    assert '3/3' in shown.getvalue() and 'images/s' in shown.getvalue()


@pytest.mark.parametrize(('total', 'lines'), [(3, ['read: 3/3']), (None, [])])
def test_a_log_gets_its_last_line_where_the_end_is_known(total, lines, capsys):
    assert list(progress.track('abc', total, 'read', 'images')) == [*'abc']
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(',')[0] for line in printed] == lines
