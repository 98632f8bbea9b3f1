import ctypes
import sys

import pytest

pytest.importorskip('onnx', reason='the extra "export" is not installed')
pytest.importorskip('openvino', reason='the extra "export" is not installed')

from mmseg.runtimes.sessions import OpenVinoSession, openvino_core

from . import tiny


def signal_stack():
    """Address, flags and size of the stack that signals of this thread are handled on, as Linux has them."""

    class Stack(ctypes.Structure):
        _fields_ = [('address', ctypes.c_void_p), ('flags', ctypes.c_int), ('size', ctypes.c_size_t)]

    stack = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack.address, stack.flags, stack.size


@pytest.mark.skipif(sys.platform != 'linux', reason='the layout of stack_t is that of Linux')
def test_openvino_leaves_the_stack_for_signals_alone(tmp_path):
    """With one that is OpenVINO's, and freed, the next signal ended the process."""
    file, before = tiny.write(tmp_path / 'model.onnx', tiny.model()), signal_stack()
    openvino_core.cache_clear()
    session = OpenVinoSession(file, threads=1)
    assert signal_stack() == before
    other = OpenVinoSession(file, threads=1)
    del session, other
    assert signal_stack() == before
