"""From the global batch that a config states to what one process takes at a time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchPlan:
    """How one iteration's images are spread: ``global_batch = processes * per_step * accumulation``."""

    processes: int
    per_step: int  # images that a process takes in one forward and backward pass
    accumulation: int  # such passes in one iteration, that is, in one step of the optimizer

    @property
    def global_batch(self) -> int:
        return self.processes * self.per_step * self.accumulation

    def __str__(self) -> str:
        return (
            f'global batch {self.global_batch} = {_count(self.processes, "process", "es")} x '
            f'{_count(self.per_step, "image")} x {_count(self.accumulation, "accumulation step")}'
        )


def plan_batch(train_dataloader: dict, processes: int, batch_per_gpu: int | None = None) -> BatchPlan:
    """Divide the batch among processes and, where memory is short, into steps whose gradients add up.

    Args:
        train_dataloader: states ``global_batch_size``, or ``batch_size`` per process and iteration.
        processes: number of processes.
        batch_per_gpu: the most images that fit one process at a time; None puts no limit.

    Raises:
        ValueError: both sizes or neither are stated, one is not a positive number, or the global batch cannot
            be divided evenly among the processes.
    """
    stated = [key for key in ('global_batch_size', 'batch_size') if key in train_dataloader]
    if len(stated) != 1:
        raise ValueError(
            'train_dataloader must state either global_batch_size (all processes together) or batch_size '
            f'(one process), it states {" and ".join(stated) or "neither"}'
        )
    key = stated[0]
    size = _positive(f'train_dataloader.{key}', train_dataloader[key])
    if key == 'global_batch_size':
        if size % processes:
            fitting = ', '.join(map(str, _divisors(size)))
            raise ValueError(
                f'train_dataloader.global_batch_size={size} cannot be divided among {processes} processes; '
                f'numbers of processes that work: {fitting}'
            )
        size //= processes
    limit = size if batch_per_gpu is None else _positive('batch_per_gpu', batch_per_gpu)
    per_step = max(d for d in _divisors(size) if d <= limit)
    return BatchPlan(processes, per_step, size // per_step)


def _positive(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f'{name} must be a whole number of at least 1, not {value!r}')
    return value


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def _count(number: int, what: str, plural: str = 's') -> str:
    return f'{number} {what}{plural if number != 1 else ""}'
