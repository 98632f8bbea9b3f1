import logging

import pytest


@pytest.fixture(autouse=True)
def without_records_of_tracing(monkeypatch):
    """PyTorch records each step for who listens at the lowest level, as pytest does, which takes long."""
    monkeypatch.setattr(logging.getLogger('torch.__trace'), 'disabled', True)
