"""The optimizer and its schedules from a checkpoint, also where the config has changed since."""

import warnings

from mmengine.optim import OptimWrapper, _ParamScheduler

from mmseg.checkpoints import to_plain

# What of a schedule's state tells how far it is. The rest is its definition, by which two schedules are compared.
PROGRESS = {'last_step', '_global_step', '_last_value', 'best', 'num_bad_epochs', 'cooldown_counter'}
# What is no part of the definition: output, a function without a plain form, and what the parameter groups say.
IRRELEVANT = {'verbose', 'anneal_func', 'base_values'}


def resume_optimizer_and_schedules(runner, checkpoint: dict, source: str) -> None:
    """Load their states; where the config now says otherwise, continue what it says from where training is.

    If all is as it was, to the last bit, every number comes from the checkpoint. Otherwise the schedules are taken
    through all steps up to here, and the log says what has changed.

    Args:
        runner: with optimizer and schedules as the config describes them, the latter before their first step, and
            a training loop that has entered where the checkpoint left.
        checkpoint: with ``optimizer`` and ``param_schedulers``.
        source: its file, for messages.

    Raises:
        ValueError: the optimizer is another, or a changed schedule depends on metrics of the past.
    """
    wrapper, schedulers = runner.optim_wrapper, runner.param_schedulers or []
    wanted = [{k: v for k, v in group.items() if k != 'params'} for group in wrapper.param_groups]
    # Beside the groups there may be mmengine's settings of the optimizer itself, which schedules change as well.
    state = checkpoint['optimizer']
    base = state.get('base_param_settings')
    stored = [*map(dict, state['param_groups']), *([dict(base)] if base else [])]
    _load_optimizer(wrapper, state, source)
    changes = _changed_hyperparameters(wanted, stored)
    changes += _changed_schedules([s.state_dict() for s in schedulers], checkpoint['param_schedulers'])
    if not changes:
        for scheduler, progress in zip(schedulers, checkpoint['param_schedulers'], strict=True):
            scheduler.load_state_dict({key: value for key, value in progress.items() if key in PROGRESS})
        return
    for group, values in zip(wrapper.param_groups, wanted, strict=True):
        for key in [k for k in group if k.startswith('initial_') and k not in values]:
            del group[key]
        group.update(values)
    _replay(schedulers, runner.train_loop, source)
    rates = ', '.join(f'{name} {values[0]:.4g}' for name, values in wrapper.get_lr().items())
    runner.logger.warning(
        f'the config has changed since {source} ({", ".join(changes)}): it is the config that goes on, from iteration '
        f'{runner.iter} with {rates}'
    )


def _load_optimizer(wrapper: OptimWrapper, state: dict, source: str) -> None:
    groups = state['param_groups']
    sizes = [len(group['params']) for group in groups]
    now = [len(group['params']) for group in wrapper.optimizer.param_groups]
    lost = sorted(_base_values(groups[0]).keys() - _base_values(wrapper.optimizer.param_groups[0]).keys())
    if sizes != now or lost:
        what = f'no {", ".join(lost)}' if lost else f'groups of {now} parameters, not {sizes}'
        raise ValueError(
            f'{source} cannot be resumed with another optimizer (this one has {what}): keep optim_wrapper and what is '
            'frozen as they were, or start a new run from these weights with load_from'
        )
    wrapper.load_state_dict(state)


def _base_values(group: dict) -> dict:
    """A parameter group's settings as they are before any schedule."""
    return {
        key: _comparable(group.get(f'initial_{key}', value))
        for key, value in group.items()
        if key not in ('params', 'param_names') and not key.startswith('initial_')
    }


def _changed_hyperparameters(wanted: list[dict], stored: list[dict]) -> list[str]:
    changes = {}
    for new, old in zip(map(_base_values, wanted), map(_base_values, stored), strict=True):
        for key in new.keys() & old.keys():
            if new[key] != old[key]:
                changes.setdefault(key, f'{key} {old[key]} -> {new[key]}')
    return [changes[key] for key in sorted(changes)]


def _changed_schedules(wanted: list[dict], stored: list[dict]) -> list[str]:
    changes = []
    if len(wanted) != len(stored):
        changes.append(f'{len(stored)} schedules -> {len(wanted)}')
    for number, (new, old) in enumerate(zip(wanted, stored, strict=False)):
        keys = sorted((new.keys() | old.keys()) - PROGRESS - IRRELEVANT)
        differing = {k: [_comparable(s.get(k)) for s in (old, new)] for k in keys}
        changes += [f'schedule {number + 1} {k} {o} -> {n}' for k, (o, n) in differing.items() if o != n]
    return changes


def _comparable(value: object) -> object:
    """Plain data, with lists for tuples: what a checkpoint makes of a value."""
    value = to_plain(value)
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    return [_comparable(item) for item in value] if isinstance(value, (list, tuple)) else value


def _replay(schedulers: list[_ParamScheduler], train_loop, source: str) -> None:
    """Take the schedules through all steps up to here; a step's result depends on the one before it."""
    for scheduler in schedulers:
        if getattr(scheduler, 'need_val_args', False):
            raise ValueError(
                f'{source} cannot go on under a changed schedule, as {type(scheduler).__name__} depends on earlier '
                'metrics: keep param_scheduler as it was, or start a new run from these weights with load_from'
            )
    length = getattr(train_loop, 'iters_per_epoch', None) or len(train_loop.dataloader)  # of loops by others
    ends_of_epochs = {length * (epoch + 1) for epoch in range(train_loop.epoch)}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that no step of the optimizer comes between
        for iteration in range(1, train_loop.iter + 1):
            _step(schedulers, by_epoch=False)
            if iteration in ends_of_epochs:
                _step(schedulers, by_epoch=True)


def _step(schedulers: list[_ParamScheduler], by_epoch: bool) -> None:
    for scheduler in schedulers:
        if scheduler.by_epoch == by_epoch:
            scheduler.step()
