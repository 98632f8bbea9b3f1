"""On a GPU: tests/test_on_gpu.py."""

import numpy as np
import pytest
import torch

from mmseg.models.layers import from_host


@pytest.mark.parametrize('numbers', [(1.5, 2), [], np.arange(6).reshape(2, 3), torch.ones(3)])
@pytest.mark.parametrize('dtype', [None, torch.float32, torch.int64])
def test_it_is_what_as_tensor_makes(numbers, dtype):
    expected = torch.as_tensor(numbers, dtype=dtype)
    with torch.device('meta'):  # as models are built for their shapes alone
        found = from_host(numbers, torch.device('cpu'), dtype)
    assert found.dtype == expected.dtype and found.device == expected.device and torch.equal(found, expected)
