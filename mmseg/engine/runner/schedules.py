"""Schedules of learning rates and the like, as the training loop counts."""

from logging import Logger


def fit_to_loop(schedulers: list, train_loop, logger: Logger) -> list:
    """The configs of schedules, with the length of an epoch, and without those that begin after the end of the run.

    Args:
        schedulers: configs; what is no config is handed on.
        train_loop: one of this package's loops.
        logger: is told what is left out, as in a short trial run.

    Raises:
        ValueError: one counts epochs in a loop that has none, and would never take a step.
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
    return cfg
