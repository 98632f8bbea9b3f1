"""Building from a config without leaving a trace in the process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.registry import DefaultScope

from mmseg.registry import SCOPE

_LOCK = threading.RLock()


@contextmanager
def default_scope(cfg: dict) -> Iterator[None]:
    """Type names mean what they mean to this config inside the block, and what they meant before after it.

    mmengine keeps one scope for the whole process, so threads that build take turns.
    """
    scope = cfg.get('default_scope') or SCOPE
    with _LOCK:
        current = DefaultScope.get_current_instance()
        if current is not None and current.scope_name == scope:
            yield
            return
        before = DefaultScope._instance_dict
        DefaultScope._instance_dict = before.copy()
        try:
            DefaultScope.get_instance(f'inference-{len(before)}', scope_name=scope)
            yield
        finally:
            DefaultScope._instance_dict = before
