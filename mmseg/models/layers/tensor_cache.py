"""Tensors that depend on sizes alone: made once, and read only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps

import torch
from torch import Tensor

_holders: list[list[Tensor]] = []


def tensor_cache(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``lru_cache`` for what makes a tensor, of which inference may be the first to ask and training the next."""

    @lru_cache(maxsize=256)
    def cached(*args) -> Tensor:
        with torch.inference_mode(False):
            return make(*args)

    @wraps(make)
    def get(*args) -> Tensor:
        tensor = cached(*args)
        for held in _holders:
            held.append(tensor)
        return tensor

    return get


@contextmanager
def held() -> Iterator[list[Tensor]]:
    """Collects what is asked of caches inside: a CUDA graph reads it for as long as it lives, whatever they drop."""
    tensors = []
    _holders.append(tensors)
    try:
        yield tensors
    finally:
        _holders[:] = [other for other in _holders if other is not tensors]
