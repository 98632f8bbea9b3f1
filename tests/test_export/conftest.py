import logging

import pytest


@pytest.fixture(autouse=True)
def without_records_of_tracing(monkeypatch):
    """PyTorch records each step for whoever listens at the lowest level, as pytest does: most of the time goes there."""
    monkeypatch.setattr(logging.getLogger('torch.__trace'), 'disabled', True)
