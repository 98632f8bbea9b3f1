"""``cuda_graphs=True``: a part's kernels are recorded for inputs of a size, and replayed at one call of the host.

A GPU computes small batches faster than Python can tell it what to do: LRFormer-T is some 490 operators forward and
1600 in a training step. The parts that can be recorded say ``recordable = True``: they compute tensors from tensors,
by shapes alone, without a look at what is in them.
"""

import copy
import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..layers.tensor_cache import held

MOST = 8  # recordings of one part, each of which keeps the memory that it computes in
WARM_UP = 3  # libraries choose their algorithms in the first passes, which cannot be recorded


def record_parts(model: nn.Module) -> int:
    """Lets the parts of a model that can be recorded replay what they did before, in place; names of weights stay.

    To predict, a part is recorded the second time that inputs of a size, type and mode come, to train the first time,
    at most ``MOST`` times; others go through it as before. The same kernels run and give the same bits, but for some
    sums of gradients, whose order is another one.

    Returns:
        How many parts there are; on a CPU they stay as they are.

    Raises:
        ValueError: there are none.
    """
    parts = list(_recordable(model))
    if not parts:
        raise ValueError('cuda_graphs: the model has no part that can be recorded; leave it out')
    if not torch.cuda.is_available():
        print_log('cuda_graphs: no CUDA device here, so nothing is recorded', logger='current', level=logging.WARNING)
        return len(parts)
    for part in parts:
        part.forward = Recorded(part)
    return len(parts)


def _recordable(module: nn.Module) -> Iterator[nn.Module]:
    """The largest parts: none within another."""
    if getattr(module, 'recordable', False):
        yield module
    else:
        for child in module.children():
            yield from _recordable(child)


class Recorded:
    """The ``forward`` of a module, recorded and replayed; a deep copy of the module records for itself."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.seen, self.recordings, self.lock = module, set(), {}, threading.Lock()

    def __deepcopy__(self, memo: dict) -> 'Recorded':
        return Recorded(copy.deepcopy(self.module, memo))

    def __reduce__(self) -> tuple:
        return Recorded, (self.module,)

    def plain(self, *args: Any, **kwargs: Any) -> Any:
        return type(self.module).forward(self.module, *args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        inputs, structure = tree_flatten(args)
        if kwargs or not all(isinstance(x, Tensor) and x.is_cuda for x in inputs) or torch.compiler.is_compiling():
            return self.plain(*args, **kwargs)
        key = self._key(inputs, structure)
        with self.lock:
            recording = self._recording(key, inputs, lambda *tensors: self.plain(*tree_unflatten(tensors, structure)))
            outputs = recording(inputs) if recording else None
        return self.plain(*args) if outputs is None else outputs

    def _key(self, inputs: Sequence[Tensor], structure: Any) -> tuple:
        """All that the kernels depend on but the numbers, and the places of the parameters' (below)."""
        grad, amp = torch.is_grad_enabled(), torch.is_autocast_enabled('cuda')
        return (
            *(str(structure), grad, self.module.training, torch.are_deterministic_algorithms_enabled()),
            *(amp, torch.get_autocast_dtype('cuda') if amp else None),
            *((x.device, x.dtype, x.shape, x.stride(), x.requires_grad and grad) for x in inputs),
        )

    def _recording(self, key: tuple, inputs: Sequence[Tensor], function: Callable) -> 'Recording | None':
        recording = self.recordings.get(key)
        if recording is not None and not recording.holds_for(self.module):
            del self.recordings[key]
        if key in self.recordings or len(self.recordings) == MOST:
            return self.recordings.get(key)
        if key not in self.seen and not torch.is_grad_enabled():
            if len(self.seen) == 1000:  # of images of any size, few come again
                self.seen.clear()
            self.seen.add(key)
            return None
        self.recordings[key] = self._record(inputs, function)
        return self.recordings[key]

    def _record(self, inputs: Sequence[Tensor], function: Callable) -> 'Recording | None':
        learns = any(x.requires_grad for x in (*inputs, *self.module.parameters()))
        kind = Training if torch.is_grad_enabled() and learns else Recording
        try:
            return kind(self.module, inputs, function)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            what = f'cuda_graphs: {type(self.module).__name__} cannot be recorded, and runs as without: {reason}'
            print_log(what, logger='current', level=logging.WARNING)
            return None


class Recording:
    """What a function of CUDA tensors does without gradients, in memory of its own.

    Raises:
        RuntimeError: it cannot be recorded, as it waits for the GPU or copies from the host.
    """

    def __init__(self, module: nn.Module, inputs: Sequence[Tensor], function: Callable) -> None:
        weights = (*module.parameters(), *module.buffers())
        self.weights = [(x, x.data_ptr(), x.requires_grad) for x in weights]
        grad = torch.is_grad_enabled()
        with torch.inference_mode(False):
            self.inputs = [x.detach().clone().requires_grad_(x.requires_grad and grad) for x in inputs]
        self.forward_graph = torch.cuda.CUDAGraph()
        torch.cuda.empty_cache()  # recordings cannot use what the allocator keeps
        with unchanged(module, self.inputs), autocast_without_cache(), held() as self.read:
            self.record(module, function)

    def holds_for(self, module: nn.Module) -> bool:
        """Whether the module's weights are where they were."""
        first = next(chain(module.parameters(), module.buffers()), None)
        same = first is next((x for x, *_ in self.weights), None)
        return same and all(x.data_ptr() == place and x.requires_grad == learns for x, place, learns in self.weights)

    def record(self, module: nn.Module, function: Callable) -> None:
        with on_another_stream():
            for _ in range(WARM_UP):
                function(*self.inputs)
        with recording(self.forward_graph):
            self.outputs, self.structure = tree_flatten(function(*self.inputs))

    def __call__(self, inputs: Sequence[Tensor]) -> Any:
        self.run_forward(inputs)
        return tree_unflatten([x.clone() for x in self.outputs], self.structure)

    def run_forward(self, inputs: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for ours, theirs in zip(self.inputs, inputs, strict=True):
                ours.copy_(theirs)
        self.forward_graph.replay()


class Training(Recording):
    """The same with its backward pass. The outputs hold until the function is called again."""

    def record(self, module: nn.Module, function: Callable) -> None:
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        learning = [x for x in self.inputs if x.requires_grad] + self.parameters
        with on_another_stream():
            for _ in range(WARM_UP):
                outputs = [x for x in tree_flatten(function(*self.inputs))[0] if x.requires_grad]
                torch.autograd.grad(outputs, learning, [torch.zeros_like(x) for x in outputs], allow_unused=True)
            del outputs
        self.backward_graph, self.pending = torch.cuda.CUDAGraph(), None
        with recording(self.forward_graph):
            outputs, self.structure = tree_flatten(function(*self.inputs))
        learnt = [x for x in outputs if x.requires_grad]
        self.of_outputs = [torch.zeros_like(x) for x in learnt]
        with recording(self.backward_graph, self.forward_graph.pool()):
            found = torch.autograd.grad(learnt, learning, self.of_outputs, allow_unused=True)
        self.outputs, self.learnt = [x.detach() for x in outputs], [x.requires_grad for x in outputs]
        found = iter(found)
        self.of_inputs = [next(found) if x.requires_grad else None for x in self.inputs] + list(found)

    def __call__(self, inputs: Sequence[Tensor]) -> Any | None:
        """None while an earlier call's backward pass is still to come, which needs what that one left."""
        if self.pending is not None and self.pending() is not None:
            return None
        for p in self.parameters:  # of several passes a step: gradients may lie where the next ones are written
            p.grad = p.grad if p.grad is None else p.grad.clone()
        return tree_unflatten(_Training.apply(self, *inputs, *self.parameters), self.structure)


class _Training(torch.autograd.Function):
    """Inputs and parameters -> outputs, by a :class:`Training`."""

    @staticmethod
    def forward(ctx, recording: Training, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.recording, recording.pending = recording, weakref.ref(ctx)
        recording.run_forward(inputs[: len(recording.inputs)])
        outputs = tuple(x.detach() for x in recording.outputs)
        ctx.mark_non_differentiable(*(x for x, learnt in zip(outputs, recording.learnt, strict=True) if not learnt))
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        recording = ctx.recording
        wanted = (x for x, learnt in zip(gradients, recording.learnt, strict=True) if learnt)
        for ours, theirs in zip(recording.of_outputs, wanted, strict=True):
            ours.copy_(theirs)
        recording.backward_graph.replay()
        recording.pending = None
        return None, *(None if x is None else x.detach() for x in recording.of_inputs)


@contextmanager
def unchanged(module: nn.Module, inputs: Sequence[Tensor]):
    """Running statistics and random numbers as if the passes inside had not been."""
    buffers = [(x, x.clone()) for x in module.buffers()]
    devices = {x.device for x in inputs}
    states = [(device, torch.cuda.get_rng_state(device)) for device in devices]
    try:
        yield
    finally:
        with torch.no_grad():
            for x, before in buffers:
                x.copy_(before)
        for device, state in states:
            torch.cuda.set_rng_state(state, device)


@contextmanager
def autocast_without_cache():
    """A cast weight that autocast keeps would lie in a recording's memory."""
    dtype, enabled = torch.get_autocast_dtype('cuda'), torch.is_autocast_enabled('cuda')
    with torch.autocast('cuda', dtype, enabled, cache_enabled=False):
        yield


@contextmanager
def on_another_stream():
    """As recording needs it: what runs here comes after what ran before, and before what follows."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream().wait_stream(stream)


def recording(graph: torch.cuda.CUDAGraph, pool: Any = None):
    """Kernels go into ``graph``; other threads, which load data, may go on allocating."""
    return torch.cuda.graph(graph, pool=pool, capture_error_mode='thread_local')
