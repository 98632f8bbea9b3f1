"""Schedules of learning rates and the like, as the training loop counts."""

import copy
from logging import Logger
from types import SimpleNamespace

NOTHING = 1e-6  # of the highest learning rate: less than this changes no weight
TOLERATED = 0.01  # share of a run that may pass like that


def fit_to_loop(schedulers: list, train_loop, logger: Logger) -> list:
    """The configs of schedules, with the length of an epoch, and without those that begin after the end of the run.

    Args:
        schedulers: configs; what is no config is handed on.
        train_loop: one of this package's loops.
        logger: is told what is left out, as in a short trial run.

    Raises:
        ValueError: one counts epochs in a loop that has none, and would never take a step; or it is made for fewer
            steps than the run has.
    """
    return [s for s in (_fit(s, train_loop, logger) for s in schedulers) if s is not None]


def _fit(cfg: dict, train_loop, logger: Logger) -> dict | None:
    if not isinstance(cfg, dict):
        return cfg
    in_epochs, length, unit = cfg.get('by_epoch', True), train_loop.max_iters, 'iteration'
    if in_epochs:
        length, unit = train_loop.max_epochs, 'epoch'
        if not train_loop.by_epoch:
            if not cfg.get('convert_to_iter_based'):
                raise ValueError(
                    f'{cfg["type"]} counts epochs (by_epoch=True, the default), and {type(train_loop).__name__} has '
                    'none: write by_epoch=False and begin and end in iterations, or convert_to_iter_based=True'
                )
            # Half an iteration more, as the product with epoch_length is rounded down.
            length = (train_loop.max_iters + 0.5) / train_loop.iters_per_pass
            cfg = {'end': length, **cfg}
        if cfg.get('convert_to_iter_based'):
            cfg = {'epoch_length': train_loop.iters_per_pass, **cfg}
    if cfg.get('begin', 0) >= length:
        logger.warning(f'{cfg["type"]} begins at {unit} {cfg["begin"]}, after the end of this run: left out')
        return None
    steps = int(min(cfg.get('end', length), length)) - cfg.get('begin', 0)
    if cfg.get('total_steps') is not None and cfg['total_steps'] < steps - 1:  # one more is within its rounding
        raise ValueError(
            f'{cfg["type"]} has total_steps={cfg["total_steps"]}, and this run takes {steps} of its steps: set '
            f'total_steps={steps}, or end={cfg.get("begin", 0) + cfg["total_steps"]}'
        )
    return cfg


def refuse_to_learn_nothing(runner) -> None:
    """Look ahead to where the last schedule ends, which is before the end of a run that was made longer.

    Args:
        runner: with its training loop (one of this package's), optimizer and schedules where training is to go on.

    Raises:
        ValueError: the learning rate is 0 from there on, for more than a hundredth of the run.
    """
    loop = runner.train_loop
    schedulers = [s for s in runner.param_schedulers or [] if s.param_name == 'lr']
    if not schedulers or any(getattr(s, 'need_val_args', False) for s in schedulers):
        return
    length = [loop.iters_per_epoch if s.by_epoch else 1 for s in schedulers]
    number, ends = max(enumerate(s.end * n for s, n in zip(schedulers, length, strict=True)), key=lambda pair: pair[1])
    lost = loop.max_iters - max(ends, loop.iter)
    if lost <= max(1, TOLERATED * loop.max_iters):
        return
    group = {key: value for key, value in schedulers[0].optimizer.param_groups[0].items() if key != 'params'}
    optimizer = SimpleNamespace(param_groups=[group], step=schedulers[0].optimizer.step, _global_step=0)
    trial = [copy.copy(s) for s in schedulers]
    for scheduler in trial:
        scheduler.optimizer, scheduler.base_values = optimizer, scheduler.base_values[:1]
    highest = max(group['lr'], *(s.base_values[0] for s in trial))
    for iteration in range(loop.iter + 1, int(ends) + 1):
        for scheduler, steps in zip(trial, length, strict=True):
            if iteration % steps == 0:
                scheduler.step()
    if group['lr'] > NOTHING * highest:
        return
    last = schedulers[number]
    unit, whole = ('epoch', loop.max_epochs) if last.by_epoch else ('iteration', loop.max_iters)
    raise ValueError(
        f'the last {lost} of {loop.max_iters} iterations would learn nothing, with a learning rate of 0: '
        f'{type(last).__name__} ends at {unit} {last.end}. Leave out its end in param_scheduler, and it lasts to the '
        f'end of training, or set end={whole}'
    )
