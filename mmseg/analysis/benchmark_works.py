"""What benchmark.py measures: each work as a function that prepares it and returns what a turn runs.

This file runs as a process of its own with the ``mmseg`` of any checkout of the project, so it keeps to names that all
of them have. It says "ready", and for every line that it is sent does one turn and answers with a line of JSON.
"""

import argparse
import ctypes
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder

KINDS: dict[str, Callable] = {}


def kind(prepare: Callable) -> Callable:
    KINDS[prepare.__name__] = prepare
    return prepare


def package() -> Path:
    """The ``mmseg`` of the checkout at work, which may be older than ``mmseg.zoo``."""
    import mmseg

    return Path(mmseg.__file__).parent


def config_of(variant: str, shape: tuple[int, int]) -> Config:
    """ADE20K's config of a variant ('t', 't+'), with crops of that shape and random weights."""
    home = next(folder for folder in (package() / 'shipped', package().parent) if (folder / 'configs_local').is_dir())
    leaf = 't-plus-160k_ade20k-512x512' if variant.endswith('+') else 't-160k_ade20k'
    cfg = Config.fromfile(home / f'configs_local/lrformer/lrformer-{leaf}.py')
    cfg.model.backbone.variant = variant.rstrip('+')
    cfg.model.backbone.pop('init_cfg', None)
    cfg.model.data_preprocessor['size'] = shape
    return cfg


def build(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> tuple['EncoderDecoder', Config]:
    from mmengine.model import revert_sync_batchnorm

    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    register_all_modules()
    torch.manual_seed(0)
    if options.config:
        from mmseg.engine.launch import load_config

        cfg = load_config(options.config, options.cfg_options)
        cfg.model.data_preprocessor['size'] = shape
    else:
        cfg = config_of(variant, shape)
        cfg.model.decode_head['num_classes'] = options.classes
    cfg.model.backbone.update(options.backbone)
    model = MODELS.build(cfg.model)
    if not torch.cuda.is_available():
        model = revert_sync_batchnorm(model)
    if options.compile:
        from mmseg.models.utils import compile_parts

        compile_parts(model)
    if vars(options).get('cuda_graphs'):
        from mmseg.models.utils import record_parts

        record_parts(model)
    return model.to(device()), cfg


def device() -> str:
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def precision(options: argparse.Namespace):
    dtype = {'bfloat16': torch.bfloat16, 'float16': torch.float16}.get(options.amp)
    return torch.autocast(device(), dtype=dtype) if dtype else nullcontext()


@kind
def forward(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> Callable:
    """The network, to its coarse scores or masks."""
    model = build(variant, shape, options)[0].eval()
    image = torch.randn(options.batch or 1, 3, *shape, device=device())

    @torch.no_grad()
    def run() -> None:
        with precision(options):
            model.whole(image)

    return run


@kind
def predict(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> Callable:
    """A uint8 image to its labels."""
    model = build(variant, shape, options)[0].eval()
    images = [random_image(shape) for _ in range(options.batch or 1)]

    @torch.no_grad()
    def run() -> None:
        from mmseg.structures import SegDataSample

        samples = [SegDataSample(metainfo=dict(ori_shape=shape, img_shape=shape)) for _ in images]
        with precision(options):
            model.test_step(dict(inputs=list(images), data_samples=samples))

    return run


@kind
def train(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> Callable:
    """A step on two uint8 images: preprocessing, loss, backward pass, optimizer."""
    from mmseg.structures import SegDataSample

    model, cfg = build(variant, shape, options)
    model.train()
    cfg.optim_wrapper['type'] = 'AmpOptimWrapper' if options.amp else 'OptimWrapper'
    if options.amp:
        cfg.optim_wrapper['dtype'] = options.amp
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    images = [random_image(shape) for _ in range(options.batch or 2)]
    labels = [regions(shape, model.num_classes) for _ in images]

    def run() -> None:
        samples = [
            SegDataSample(metainfo=dict(img_shape=shape), gt_sem_seg=PixelData(data=label.clone())) for label in labels
        ]
        model.train_step(dict(inputs=list(images), data_samples=samples), optim_wrapper=optim_wrapper)

    return run


def products_alone(work: Callable) -> Callable:
    """A kind: the matrix products, convolutions and attentions of ``work`` alone, with none of what lies between.

    Each kind of call has operands of its own, made beforehand: how long the arithmetic takes here at its best, and so
    how far ``work`` is from what it could be without better kernels.
    """

    def prepare(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> Callable:
        run_whole = work(variant, shape, options)
        run_whole()
        with Products() as products:
            run_whole()

        @torch.no_grad()
        def run() -> None:
            for function, args, kwargs, count in products.calls.values():
                for _ in range(count):
                    function(*args, **kwargs)

        return run

    prepare.__name__ = f'{work.__name__}products'
    return prepare


class Products(TorchDispatchMode):
    """Collects the calls of what multiplies, those of one shape once with their count."""

    NAMES = re.compile(r'(mm|addmm_?|bmm|baddbmm_?|(.*_)?convolution(_backward)?|_linear_pointwise|.*dot_product.*)$')

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[tuple, list] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self.NAMES.match(function.overloadpacket.__name__):
            key = function, str(tree_map(self._shape, (args, kwargs)))
            call = self.calls.setdefault(key, [function, *tree_map(self._copy, (args, kwargs)), 0])
            call[-1] += 1
        return function(*args, **kwargs)

    @staticmethod
    def _shape(value: object) -> object:
        return (value.shape, value.stride()) if isinstance(value, torch.Tensor) else value

    @staticmethod
    def _copy(value: object) -> object:
        return value.detach().clone() if isinstance(value, torch.Tensor) else value


for work in (forward, predict, train):
    kind(products_alone(work))


@kind
def inference(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> Callable:
    """``inference_model`` on an image that is at hand as an array."""
    from mmseg.apis import inference_model, init_model

    model = init_model(config_of(variant, shape), device=device())
    image = random_image(shape).permute(1, 2, 0).contiguous().numpy()
    return lambda: inference_model(model, image)


@kind
def pipeline(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> Callable:
    """The training pipeline on 20 samples from files, in this process."""
    from mmcv.transforms import Compose

    from mmseg.registry import TRANSFORMS
    from mmseg.utils import register_all_modules

    register_all_modules()
    steps = Compose([TRANSFORMS.build(step) for step in config_of(variant, shape).train_dataloader.dataset.pipeline])
    folder = tempfile.mkdtemp()
    paths = dict(img_path=f'{folder}/image.jpg', seg_map_path=f'{folder}/labels.png')
    cv2.imwrite(paths['img_path'], random_image(shape).permute(1, 2, 0).numpy())
    cv2.imwrite(paths['seg_map_path'], regions(shape, 150)[0].numpy().astype(np.uint8))

    def run() -> None:
        for i in range(20):
            np.random.seed(i)
            steps(dict(**paths, seg_fields=[], reduce_zero_label=False, label_map=None, sample_idx=i))

    return run


@kind
def exported(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> Callable:
    """The network of an exported file, ``options.checkpoint``, to its outputs."""
    from mmseg.runtimes.sessions import open_session

    if not options.checkpoint:
        raise SystemExit('exported takes --checkpoint FILE, of `lrformer export`')
    session = open_session(options.checkpoint, vars(options).get('backend'))
    image = torch.randn(options.batch or 1, 3, *shape).numpy()
    return lambda: session.run(image)


@kind
def start(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> Callable:
    """Starting Python and importing the package."""
    # With -c, what lies in the working folder comes before all else.
    return lambda: subprocess.run([sys.executable, '-c', 'import mmseg.apis'], check=True, cwd=package().parent)


@kind
def network(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> Callable:
    """The network alone on a config's test images, prepared beforehand."""
    runner = test_runner(options)
    batches = [runner.model.data_preprocessor(batch)['inputs'] for batch in runner.test_loop.dataloader]
    inputs = [image for batch in batches for image in batch]  # a batch, or a list of images of several sizes

    @torch.no_grad()
    def run() -> None:
        for image in inputs:
            runner.model.whole(image[None])

    return run


@kind
def loop(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> Callable:
    """What ``lrformer test`` does: loading, the network, labels at each image's size, the metric."""
    return test_runner(options).test_loop.run


@kind
def unstreamed(variant: str, shape: tuple[int, int], options: argparse.Namespace) -> Callable:
    """The same with whole maps of scores."""
    runner = test_runner(options)
    runner.model.test_cfg['streamed'] = False
    return runner.test_loop.run


def test_runner(options: argparse.Namespace):
    from mmseg.engine import SegRunner
    from mmseg.engine.launch import load_config

    if not options.config:
        raise SystemExit('network, loop and unstreamed take --config CONFIG')
    cfg = load_config(options.config, options.cfg_options, tempfile.mkdtemp())
    cfg.log_level = 'ERROR'
    cfg.test_dataloader.dataset.indices = options.images
    runner = SegRunner.from_cfg(cfg)
    if options.checkpoint:
        runner.load_checkpoint(options.checkpoint)
    runner.model.eval()
    runner.test_loop  # noqa: B018 (built here)
    runner.call_hook('before_run')
    return runner


def random_image(shape: tuple[int, int]) -> torch.Tensor:
    """Large patches with some noise, 3 x H x W uint8."""
    coarse = torch.rand(1, 3, 8, 8) * 255
    image = nn.functional.interpolate(coarse, shape, mode='bilinear') + 10 * torch.randn(1, 3, *shape)
    return image.clamp(0, 255).byte()[0]


def regions(shape: tuple[int, int], classes: int) -> torch.Tensor:
    """A label map of 16 regions, some of them ignored, 1 x H x W int64."""
    coarse = torch.randint(classes, (1, 1, 4, 4)).float()
    coarse[0, 0, 0, 0] = 255
    return nn.functional.interpolate(coarse, shape, mode='nearest')[0].long()


class PeakMemory:
    """The most memory in use inside a ``with`` block, above what was in use at first; MiB, None if unknown."""

    def __init__(self) -> None:
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)  # what was freed before does not count
        self.before = torch.cuda.memory_allocated() / 2**20 if torch.cuda.is_available() else self._status('VmRSS')

    def __enter__(self) -> 'PeakMemory':
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        else:
            with suppress(OSError), open('/proc/self/clear_refs', 'w') as file:
                file.write('5')  # Linux: the peak starts anew
        return self

    def __exit__(self, *error) -> None:
        peak = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else self._status('VmHWM')
        self.mib = None if self.before is None or peak is None else peak - self.before

    @staticmethod
    def _status(key: str) -> float | None:
        try:
            with open('/proc/self/status') as file:
                return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))
        except OSError:
            return None


def turn(run: Callable, memory: PeakMemory) -> dict:
    """Wall and CPU seconds, page faults and peak memory of one call."""
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    with memory:
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return dict(seconds=seconds, cpu_seconds=cpu, page_faults=after.ru_minflt - before.ru_minflt, peak_mib=memory.mib)


def parse_work(name: str) -> tuple[str, str, tuple[int, int]]:
    """'train-t+-512x512' -> kind, variant, (height, width); 't' and '512x512' where left out."""
    found = re.fullmatch(r'([a-z]+)(?:-([a-z]+\+?))?(?:-(\d+)x(\d+))?', name)
    if not found or found[1] not in KINDS:
        raise ValueError(f'{name!r} is no KIND-VARIANT-HxW; kinds: {", ".join(KINDS)}')
    return found[1], found[2] or 't', (int(found[3] or 512), int(found[4] or 512))


def main() -> None:
    what, variant, shape = parse_work(sys.argv[1])
    options = argparse.Namespace(**json.loads(sys.argv[2]))
    answers, sys.stdout = sys.stdout, sys.stderr  # the log goes elsewhere
    run = KINDS[what](variant, shape, options)
    memory = PeakMemory()
    if options.profile:
        run()
        with torch.profiler.profile() as profile:
            run()
        by = 'self_cuda_time_total' if torch.cuda.is_available() else 'self_cpu_time_total'
        print(profile.key_averages().table(sort_by=by, row_limit=10), file=sys.stderr)
    print('ready', file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(turn(run, memory)), file=answers, flush=True)


if __name__ == '__main__':
    sys.path.remove(str(Path(__file__).parent))
    main()
