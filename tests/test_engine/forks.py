"""Many short trainings that are killed, at the cost of importing everything once.

    python -m tests.test_engine.forks < ORDERS

reads orders, one JSON object a line, and for each trains a toy in forked processes and prints a list of their exit
codes. An order has ``work_dir``, ``processes``, ``workers``, ``broken`` (the index of a
training sample without finite numbers, or null), ``iters``, ``by_epoch`` (which loop) and ``kill`` (null, or when and
how processes are killed):

- two numbers: after that many training iterations and, then, seconds, all processes are killed;
- "write": in the middle of the third write of a checkpoint; "renamed": after it, before ``last_checkpoint``;
- "validation": in the middle of the second validation;
- "sigterm", "sigterm in validation": the first process is asked to leave, in an early iteration or as above.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import torch
import torchvision  # noqa: F401  # what follows is imported by each training otherwise
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import runner
from mmengine.utils.dl_utils import collect_env

import mmseg.datasets
import mmseg.evaluation
import mmseg.models
import mmseg.visualization  # noqa: F401
from mmseg.checkpoints import writing
from mmseg.engine.launch import run_program, train
from mmseg.engine.processes.preemption import RESTART_ME
from mmseg.registry import HOOKS

from .toy import toy_config


def exacting_config(work_dir: str, workers: int, iters: int = 24, by_epoch: bool = False) -> Config:
    """Everything that a resumed run could get wrong: dropout, running statistics, augmentation, EMA, schedules.

    An epoch is two iterations, and checkpoints come every three.
    """
    cfg = toy_config(
        work_dir,
        model=dict(type='ToyModel', norm='BN', dropout=0.3),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iters, val_interval=4),
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.02), clip_grad=dict(max_norm=1.0)
        ),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=5),
            dict(type='PolyLR', power=0.9, by_epoch=False, begin=5),
        ],
        val_evaluator=dict(type='ErrorMetric'),
        custom_hooks=[dict(type='EMAHook', momentum=0.1)],
        log_processor=dict(by_epoch=False, window_size=5),
    )  # fmt: skip
    cfg['train_dataloader'].update(num_workers=workers, dataset=dict(type='ToyDataset', length=10, noise=0.1))
    cfg['val_dataloader'] = {**cfg['val_dataloader'], 'num_workers': workers}
    cfg['default_hooks']['checkpoint'] = dict(type='CheckpointHook', interval=3, save_best='mIoU', max_keep_ckpts=2)
    if by_epoch:
        cfg['train_cfg'] = dict(type='EpochBasedTrainLoop', max_epochs=iters // 2, val_interval=2)
        cfg['param_scheduler'][0] = dict(type='LinearLR', start_factor=0.1, end=2)
        cfg['param_scheduler'][1]['begin'] = 4
        cfg['default_hooks']['checkpoint']['by_epoch'] = False
        cfg['log_processor'] = dict(window_size=5)
    return Config(cfg)


@HOOKS.register_module()
class Watch(Hook):
    """Says how many iterations it saw, and sends its process a signal at some point."""

    def __init__(self, progress: str, kill: object) -> None:
        self.progress, self.kill, self.iterations, self.validations = Path(progress), kill, 0, 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.iterations += 1
        if runner.rank == 0:
            self.progress.write_text(str(self.iterations))
        if (self.kill, self.iterations, runner.rank) == ('sigterm', 2, 0):
            os.kill(os.getpid(), signal.SIGTERM)

    def before_val(self, runner) -> None:
        self.validations += 1

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if self.validations == 2 and self.kill == 'validation':
            os.kill(os.getpid(), signal.SIGKILL)
        if (self.validations, self.kill, runner.rank) == (2, 'sigterm in validation', 0):
            os.kill(os.getpid(), signal.SIGTERM)


def kill_in_third_write(when: str) -> None:
    real, writes = writing.atomic_write, []

    @contextlib.contextmanager
    def write(path: str):
        writes.append(path)
        with real(path) as file:
            yield file
            if len(writes) == 3 and when == 'write':
                file.truncate(file.tell() // 2)
                os.kill(os.getpid(), signal.SIGKILL)
        if len(writes) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    writing.atomic_write = write


def run_process(order: dict, rank: int, port: int, progress: Path) -> None:
    with open(Path(order['work_dir']).with_suffix(f'.{rank}.log'), 'ab') as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    kill = order['kill']
    if kill in ('write', 'renamed'):
        kill_in_third_write(kill)
    cfg = exacting_config(order['work_dir'], order['workers'], order['iters'], order['by_epoch'])
    cfg.train_dataloader.dataset.broken = order['broken']
    cfg.custom_hooks += [dict(type='Watch', progress=str(progress), kill=kill)]
    launcher = 'none'
    if order['processes'] > 1:
        launcher = 'pytorch'
        os.environ.update(
            RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(order['processes']),
            MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port),
        )  # fmt: skip
    train(cfg, launcher, resume='auto')


def fork(order: dict, rank: int, port: int, progress: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        run_program(lambda: run_process(order, rank, port, progress))
    except SystemExit as leave:
        os._exit(leave.code)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def carry_out(order: dict) -> list[int]:
    """Train as ordered and return the processes' exit codes."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    progress = Path(order['work_dir']).with_suffix('.progress')
    progress.parent.mkdir(parents=True, exist_ok=True)
    progress.write_text('')
    pids = [fork(order, rank, port, progress) for rank in range(order['processes'])]
    iterations, delay = order['kill'] if isinstance(order['kill'], list) else (float('inf'), 0)
    codes = {}
    while len(codes) < len(pids):
        for pid in set(pids) - set(codes):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[pid] = os.waitstatus_to_exitcode(status)
        due = int(progress.read_text() or 0) >= iterations
        failed = any(code not in (0, RESTART_ME) for code in codes.values())
        if due or failed:  # then all die, their workers as well
            time.sleep(delay if due else 0)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        time.sleep(0.001)
    return [codes[pid] for pid in pids]


def main() -> None:
    torch.set_num_threads(1)
    environment = collect_env()
    runner.collect_env = lambda: environment
    for line in sys.stdin:
        print(json.dumps(carry_out(json.loads(line))), flush=True)


if __name__ == '__main__':
    main()
