"""Times the evaluation of a config's test images: the network alone, the whole test loop, and its unstreamed form.

    python tools/analysis_tools/benchmark.py configs_local/lrformer/lrformer-t-160k_ade20k.py

The three take turns on the same images in one process, so that their ratios hold on a machine whose speed
drifts. "Network" runs the model on inputs that are already prepared; "test loop" is what tools/test.py does:
loading, the network, labels at each image's size, the metric; "unstreamed" is the test loop with whole maps of
scores in place of streamed ones. Any folder of images serves, e.g. with
    --cfg-options data_root=DIR test_dataloader.dataset.data_prefix.img_path=images/test ...
Streaming skips classes that are nowhere likely, so its time depends on the weights: --checkpoint takes trained ones.

With --shape no data is needed: one prediction on a random image of that size, e.g. for its peak memory:
    python tools/analysis_tools/benchmark.py CONFIG --shape 1024 2048
"""

import argparse
import statistics
import tempfile
import time

import torch
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from rich.console import Console
from rich.table import Table
from torch import nn

from mmseg.checkpoints import load_checkpoint_file, load_model_weights
from mmseg.engine import SegRunner
from mmseg.engine.launch import load_config
from mmseg.registry import MODELS


class PeakMemory:
    """The most memory in use inside a ``with`` block, above what was in use when it began; MiB, None if unknown."""

    def __enter__(self):
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated() / 2**20
        else:
            self.before = self._reset()
        return self

    def __exit__(self, *error):
        peak = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else self._status('VmHWM')
        self.mib = None if self.before is None or peak is None else peak - self.before

    def _reset(self) -> float | None:
        try:
            with open('/proc/self/clear_refs', 'w') as file:
                file.write('5')  # Linux: the peak starts anew
        except OSError:
            return None
        return self._status('VmRSS')

    @staticmethod
    def _status(key: str) -> float | None:
        try:
            with open('/proc/self/status') as file:
                return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))
        except OSError:
            return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('--checkpoint', help='weights; random ones without')
    parser.add_argument('--images', type=int, default=20, help='of the test set, at the most')
    parser.add_argument('--rounds', type=int, default=3, help='turns of each of the three')
    parser.add_argument(
        '--shape', type=int, nargs=2, metavar=('H', 'W'), help='a random image in place of the test set'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='values to change in the config',
    )
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as work_dir:
        cfg = load_config(args.config, args.cfg_options, work_dir)
        cfg.log_level = 'ERROR'
        if args.shape:
            model = revert_sync_batchnorm(MODELS.build(cfg.model)).eval()
            if args.checkpoint:
                load_model_weights(model, load_checkpoint_file(args.checkpoint)['state_dict'], source=args.checkpoint)
            measure_prediction(model.to('cuda' if torch.cuda.is_available() else 'cpu'), args.shape, args.rounds)
            return
        cfg.test_dataloader.dataset.indices = args.images
        runner = SegRunner.from_cfg(cfg)
        if args.checkpoint:
            runner.load_checkpoint(args.checkpoint)
        measure_loop(runner, args.rounds)
        MMLogger.get_current_instance().handlers.clear()  # its file goes with the folder


def measure_prediction(model: nn.Module, shape: tuple[int, int], rounds: int) -> None:
    image = torch.randn(1, 3, *shape, device=next(model.parameters()).device)

    def predict(streamed: bool) -> None:
        model.test_cfg['streamed'] = streamed
        model(image, mode='predict')

    kinds = dict(network=lambda: model.whole(image), streamed=lambda: predict(True), unstreamed=lambda: predict(False))
    with torch.no_grad():
        measure(kinds, rounds, images=1, what=f'{shape[0]}x{shape[1]}, {model.num_classes} classes')


def measure_loop(runner: SegRunner, rounds: int) -> None:
    model, loop = runner.model.eval(), runner.test_loop
    batches = [model.data_preprocessor(batch)['inputs'] for batch in loop.dataloader]
    inputs = [image if image.dim() == 4 else image[None] for batch in batches for image in _as_list(batch)]
    images = len(loop.dataloader.dataset)
    runner.call_hook('before_run')

    def network() -> None:
        with torch.no_grad():
            for image in inputs:
                model.whole(image)

    def test_loop(streamed: bool) -> None:
        model.test_cfg['streamed'] = streamed
        loop.run()

    kinds = dict(network=network, test_loop=lambda: test_loop(True), unstreamed=lambda: test_loop(False))
    measure(kinds, rounds, images, what=f'{images} images')


def measure(kinds: dict, rounds: int, images: int, what: str) -> None:
    seconds, memory = {name: [] for name in kinds}, {}
    for turn in range(rounds + 1):  # the first one warms up
        for name, run in kinds.items():
            with PeakMemory() as peak:
                start = time.perf_counter()
                run()
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                elapsed = time.perf_counter() - start
            memory[name] = peak.mib
            if turn:
                seconds[name].append(elapsed / images)
    report(seconds, memory, f'{what}, {rounds} rounds, {torch.get_num_threads()} threads')


def _as_list(batch) -> list:
    return [batch] if isinstance(batch, torch.Tensor) else list(batch)


def report(seconds: dict, memory: dict, title: str) -> None:
    rows = Table(title=title)
    for heading in ('', 'seconds per image', 'times the network', 'peak memory'):
        rows.add_column(heading, justify='right' if heading else 'left')
    for name, values in seconds.items():
        ratio = statistics.median(value / base for value, base in zip(values, seconds['network'], strict=True))
        peak = 'unknown' if memory[name] is None else f'{memory[name]:.0f} MiB'
        rows.add_row(name.replace('_', ' '), f'{statistics.median(values):.4f}', f'{ratio:.2f}', peak)
    Console(width=100).print(rows)


if __name__ == '__main__':
    main()
