"""What the command-line tools do: read a config, apply the flags, train or test."""

import atexit
import difflib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import barrier, get_rank, get_world_size
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from mmseg import zoo
from mmseg.checkpoints import is_remote
from mmseg.registry.hints import UnknownKeyError, hints
from mmseg.utils import keep_freed_memory
from mmseg.utils.mistakes import report

from .config.encoding import require_plain_config
from .config.keys import OPTIONAL_KEYS, walk
from .config.origins import default_work_dir
from .config.overrides import read_options, with_options
from .config.tta import use_tta
from .processes.preemption import Interrupted, Preempted, heed_sigterm
from .reporting import add_report_metric, tell_scores, write_report
from .runner import SegRunner


def load_config(path: str | Path, options: dict | Sequence[str] = (), work_dir: str | None = None) -> Config:
    """Read a config file.

    Args:
        path: the file, or the name of a config that comes with the package (its file's, without ``.py``).
        options: values to put in, by dotted key; or KEY=VALUE texts as typed (:mod:`.config.option_text`). They
            take effect as if written into the file (:mod:`.config.overrides`).
        work_dir: where the run writes; None for what the config says, or ``work_dirs/NAME_OF_THE_CONFIG``.

    Raises:
        FileNotFoundError: there is no such file; the message names similar ones beside it.
        KeyError: an option's first key is neither in the config nor known.
        ValueError: an option that would change nothing; the message names the keys to set in its place. Or a file
            that is not plain UTF-8, or a name of nothing; the message names similar ones.
    """
    path = Path(zoo.config_file(path) if zoo.is_name(path) else path)
    if not path.is_file():
        raise FileNotFoundError(f'config {str(path)!r} does not exist{_similar_files(path)}')
    require_plain_config(path)
    cfg = Config.fromfile(path)
    options = dict(options) if isinstance(options, Mapping) else read_options(options or (), cfg)
    known = OPTIONAL_KEYS | set(cfg)
    for key in options:
        top = key.split('.')[0]
        if top not in known:
            near = difflib.get_close_matches(top, known, n=1, cutoff=0.8) or _places_of(key, cfg)
            near = ', '.join(map(repr, near or difflib.get_close_matches(top, known, n=1)))
            raise KeyError(f'--cfg-options {key}: {path} has no {top!r}{f", did you mean {near}?" if near else ""}')
    cfg = with_options(cfg, options)
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = default_work_dir(path)
    return cfg


def _places_of(key: str, cfg: Config) -> list[str]:
    """Where a config states the same inside of a section: ``runner.max_iters`` is ``train_cfg.max_iters`` here."""
    for end in (key, key.split('.')[0], key.split('.')[-1]):
        places = [place for place, _ in walk(cfg._cfg_dict) if place.endswith(f'.{end}')]
        if places and end != 'type':
            return places[:3]
    return []


def train(
    cfg: Config,
    launcher: str = 'none',
    resume: str | bool = False,
    amp: str | None = None,
    batch_per_gpu: int | None = None,
    deterministic: bool = False,
) -> SegRunner:
    """Train as a config says, and with ``test_after_train=True`` in it test the best weights (else the last).

    Args:
        cfg: from :func:`load_config`.
        launcher: 'none', 'pytorch' (torchrun) or 'slurm'.
        resume: False; 'auto' for the work dir's newest checkpoint, or to start anew without one; or a file.
        amp: None for what the config says, or 'auto', 'bfloat16', 'float16'.
        batch_per_gpu: the most images that one process takes at a time; None for what the config says.
        deterministic: the same bits in every run on CUDA as well, which costs time; False for what the config says.

    Raises:
        Preempted, Interrupted: SIGTERM or Ctrl-C asked to leave; a checkpoint is saved.
    """
    cfg.launcher = launcher
    if deterministic:
        cfg.randomness = {**cfg.get('randomness', {}), 'deterministic': True}
    if resume:
        cfg.resume = resume
    if isinstance(cfg.get('resume'), str) and cfg.resume != 'auto':
        _require_checkpoint(cfg.resume)
    if cfg.get('load_from'):
        _require_checkpoint(cfg.load_from)
    if batch_per_gpu is not None:
        cfg.batch_per_gpu = batch_per_gpu
    if amp is not None:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.dtype = None if amp == 'auto' else amp
    with _hints_with_places(cfg):
        runner = SegRunner.from_cfg(cfg)
        if cfg.get('test_after_train'):
            runner.test_loop  # noqa: B018 (builds it: what is wrong with it is to be known now)
        with heed_sigterm():
            runner.train()
    if cfg.get('test_after_train'):
        barrier()  # the first process has just written the file
        facts = runner.message_hub.runtime_info
        saved = [path for path in (facts.get('best_ckpt'), facts.get('last_ckpt')) if path and os.path.isfile(path)]
        if saved:  # otherwise, with save_last=False, the weights are those in memory
            runner.load_checkpoint(saved[0])
        runner.test()
    runner.visualizer.close()
    return runner


def test(
    cfg: Config,
    checkpoint: str | None,
    launcher: str = 'none',
    amp: str | None = None,
    out: str | None = None,
    show: bool = False,
    show_dir: str | None = None,
    wait_time: float = 2.0,
    tta: bool = False,
    report: str | None = None,
    report_scores: bool = False,
    report_images: int = 120,
    command: str = '',
) -> dict:
    """Test a checkpoint on a config's test split.

    Args:
        cfg: from :func:`load_config`.
        checkpoint: the file; None where the config's model brings its weights, as an exported one does.
        launcher: as for :func:`train`.
        amp: None for full precision, or 'auto', 'bfloat16', 'float16'.
        out: folder for the predicted label maps as PNG, one for each image.
        show: open a window with each prediction, for ``wait_time`` seconds.
        show_dir: folder for pictures of annotation and prediction.
        wait_time: see ``show``.
        tta: let the model see each image in several views (:mod:`.config.tta`).
        report: folder for a page about the test (:mod:`mmseg.report`).
        report_scores: let it show confidences, too, for which scores are kept at image size.
        report_images: how many images have pictures in it.
        command: what to repeat the test with, for the page.

    Returns:
        The metrics by name.
    """
    if checkpoint is not None:
        _require_checkpoint(checkpoint)
    cfg.launcher, cfg.load_from, cfg.resume = launcher, checkpoint, False
    if amp is not None:
        cfg.test_cfg.amp = amp
    if tta:
        use_tta(cfg)
    if out is not None:
        metrics = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
        for metric in metrics:
            metric['output_dir'] = out
    if report is not None:
        add_report_metric(cfg, report_images, report_scores)
    elif report_scores:
        raise ValueError('--report-scores is about a report: say with --report DIR where to write it')
    if show or show_dir is not None:
        drawing = dict(
            type='SegVisualizationHook',
            draw=True,
            interval=1,
            show=show,
            wait_time=wait_time,
            out_dir=show_dir,
        )
        cfg.default_hooks = {**(cfg.get('default_hooks') or {}), 'visualization': drawing}
    with _hints_with_places(cfg):
        runner = SegRunner.from_cfg(cfg)
        if report is not None:
            tell_scores(runner)
        metrics = runner.test()
    if report is not None:
        write_report(runner, report, metrics, checkpoint, command)
    runner.visualizer.close()
    return metrics


@contextmanager
def _hints_with_places(cfg: Config) -> Iterator[None]:
    """Say where in a config the key stands that a class refuses."""
    try:
        with hints():
            yield
    except UnknownKeyError as error:
        kinds = (error.kind, error.kind.__name__)
        for place, value in walk(cfg._cfg_dict):
            if isinstance(value, dict) and error.key in value and value.get('type') in kinds:
                error.args = (f'{cfg.filename}: {place}: {error}',)
                break
        raise


def run_program(main: Callable[[], int | None]) -> int:
    """Run a command-line tool so that of several processes none outlives or hides the failure of another.

    Args:
        main: does it; gives an exit code, None for 0.

    Returns:
        The exit code.

    They end together when all is well, and when SIGTERM or Ctrl-C asked them to. One that fails says why and ends at
    once. One that merely loses its connection to it says so in a line, and lets the launcher end it.
    """
    keep_freed_memory()
    try:
        code = main() or 0
    except (Preempted, Interrupted) as stop:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # it is being done; the first process may still be writing
        _leave_together(stop.code)
        raise SystemExit(stop.code) from None
    except Exception as error:
        if not torch.distributed.is_initialized() or get_world_size() == 1:
            raise
        _fail(error)
    _leave_together(code)
    return code


def _leave_together(code: int) -> None:
    if not torch.distributed.is_initialized():
        return
    barrier()
    torch.distributed.destroy_process_group()
    # Once, with torch 2.11, a process aborted after its work was done ("terminate called without an active exception",
    # cause unknown), and torchrun called the finished job failed. So run the exit handlers, and skip what comes after.
    atexit._run_exitfuncs()
    _exit(code)


# What gloo, NCCL and the processes' common store say when another process is gone.
LOST_CONNECTION = re.compile(
    r'connection (was )?(closed|reset|refused)|broken pipe|remote process|socket closed|recvValue failed'
    r'|failed to (recv|send)|NCCL communicator was aborted',
    re.IGNORECASE,
)
LAUNCHER_ACTS_WITHIN = 30  # seconds


def _fail(error: Exception) -> None:
    """End this process without waiting for anybody, as interpreter and process group might for ever."""
    code = 1
    who = f'process {get_rank()} of {get_world_size()}'
    if isinstance(error, RuntimeError) and LOST_CONNECTION.search(str(error)):
        reason = str(error).splitlines()[0]
        print(f'{who} lost its connection to another that ended; the cause is there. ({reason})', file=sys.stderr)
        sys.stderr.flush()
        time.sleep(LAUNCHER_ACTS_WITHIN)  # so that the launcher takes the other's end for the cause, not this
    else:
        print(f'{who} failed, which ends the whole job:', file=sys.stderr)
        code = report(error)
        get_error_handler().record_exception(error)  # for torchrun's summary
    _exit(code)


def _exit(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def checkpoint_of(config: str | Path, checkpoint: str | None) -> str:
    """The weights to use with a config: those that are given, or the published ones of a name.

    Raises:
        ValueError: none are given, and a config file has none.
        FileNotFoundError: there is no such file; the message names similar ones.
        ConnectionError: published ones cannot be had.
    """
    if checkpoint is None:
        if not zoo.is_name(config):
            raise ValueError(f'the weights are missing: give a checkpoint of {str(config)!r}')
        return zoo.weights_file(config)
    _require_checkpoint(checkpoint)
    return checkpoint


def _require_checkpoint(path: str) -> None:
    if not is_remote(path) and path not in zoo.models() and not os.path.isfile(path):
        raise FileNotFoundError(f'checkpoint {path!r} does not exist{_similar_files(Path(path))}')


def _similar_files(path: Path) -> str:
    """What to add to the message about a missing file: its likely real name, or how its folder looks."""
    if not path.parent.is_dir():
        return f': there is no folder {str(path.parent)!r} in {os.getcwd()}'
    siblings = sorted(p.name for p in path.parent.iterdir() if p.suffix == path.suffix)
    near = difflib.get_close_matches(path.name, siblings, n=1)
    if near:
        return f', did you mean {str(path.parent / near[0])!r}?'
    return f': {str(path.parent)!r} has {", ".join(siblings[:10]) or f"no {path.suffix} file"}'
