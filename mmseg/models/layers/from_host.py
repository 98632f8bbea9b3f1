"""Numbers that the host has, for a device."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def from_host(
    numbers: Sequence | np.ndarray | Tensor, device: torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """A tensor of the numbers on a device, for which the host does not wait.

    PyTorch's own copy to a GPU ends when all has ended that the GPU still had to do. From pinned memory it need not.
    """
    x = numbers if isinstance(numbers, Tensor) else torch.as_tensor(numbers, device='cpu')
    x = x.to(dtype or x.dtype)
    if device.type != 'cuda' or x.device.type != 'cpu' or not x.numel():
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)
