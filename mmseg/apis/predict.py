"""Segment whatever is given, into a folder: what ``lrformer predict``, tools/predict.py and Python call."""

import copy
import hashlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from torch import distributed as dist
from torch import nn

from mmseg.checkpoints.checksum import digest_of_tensors
from mmseg.engine.amp import amp_dtype
from mmseg.engine.processes.group import init_process_group, restarted_jobs
from mmseg.inference import Segmentor, TiledSegmentor
from mmseg.inference.flow import Flow, share
from mmseg.inference.folder import ResultFolder
from mmseg.inference.quality import fuse_layers, half_precision
from mmseg.inference.sources import Input, Source
from mmseg.models.utils import compile_parts, record_parts
from mmseg.runtimes import is_exported
from mmseg.utils.parallel import available_cpus
from mmseg.utils.progress import track

from .inference import init_model, require_weights

SAVE = ('overlay', 'labels', 'csv')
MAX_ERRORS = 100  # that are kept; all are printed
A_WEEK = 7 * 24 * 3600  # seconds that the first process may wait for the last


@dataclass(frozen=True)
class Summary:
    """What became of the inputs.

    Attributes:
        done: images that were segmented.
        skipped: images and videos that an earlier run had done.
        failed: images that could not be segmented; each was reported.
        seconds: all of it took.
        errors: the reasons of the first failures.
    """

    done: int
    skipped: int
    failed: int
    seconds: float
    errors: tuple[str, ...] = ()


def predict(model: nn.Module | str | Path | Config, inputs: Input, out_dir: str | Path, **options) -> Summary:
    """Segment inputs and write the results into a folder: :class:`Prediction` with these arguments, run."""
    return Prediction(model, inputs, out_dir, **options).run()


class Prediction:
    """Inputs, a model and a folder, all checked, ready to run.

    Args:
        model: from :func:`init_model`, or what that takes as ``config``.
        inputs: see :class:`mmseg.inference.sources.Source`.
        out_dir: the folder; results keep the names and sub-folders of their images.
        checkpoint: weights, for a model that is not built yet.
        weights: which of a checkpoint that has both: 'ema', the averaged ones, or 'last', of the last iteration.
        backend: what runs a file of ``lrformer export``, see :func:`init_model`.
        save: kinds of results, of 'overlay', 'labels', 'scores', 'geojson', 'labelme', 'geotiff', 'csv', 'coco',
            'coco-polygons'.
        batch_size: images of one input size, or tiles of an image, that go through the network together.
        classes: names of the only classes that are wanted.
        threshold: probability below which a pixel is 'unsure'.
        opacity: of the colours in overlays.
        resume: leave out what an earlier run with the same settings has done.
        device: where the network runs; None takes the GPU where there is one.
        amp: mixed precision: 'auto', 'bfloat16' or 'float16'.
        half: weights of half precision, of the type that ``amp='auto'`` takes.
        fuse: fold batch norms and layer scales into the layers before them.
        compile: compile the parts that repeat, see :func:`mmseg.models.utils.compile_parts`.
        cuda_graphs: replay what a GPU did for an earlier image of the same size, see
            :func:`mmseg.models.utils.record_parts`.
        tta: see each image at six sizes, flipped and unflipped.
        tile, overlap: how large images are cut, see :class:`mmseg.inference.TiledSegmentor`.
        workers: threads that load, and as many that write.
        cfg_options: values to put into the config, by dotted key, or as KEY=VALUE texts.
        launcher: what started the processes that share the work: 'none', 'pytorch' or 'slurm'.

    Raises:
        FileNotFoundError, ValueError, TypeError: an argument is wrong.
        FileExistsError: the folder holds other files under the names of results.
    """

    def __init__(
        self,
        model: nn.Module | str | Path | Config,
        inputs: Input,
        out_dir: str | Path,
        *,
        checkpoint: str | Path | None = None,
        weights: str = 'ema',
        backend: str | None = None,
        save: Sequence[str] = SAVE,
        batch_size: int = 1,
        classes: Sequence[str] | None = None,
        threshold: float | None = None,
        opacity: float = 0.5,
        resume: bool = False,
        device: str | None = None,
        amp: str | None = None,
        half: bool = False,
        fuse: bool = False,
        compile: bool = False,
        cuda_graphs: bool = False,
        tta: bool = False,
        tile: int | str = 'auto',
        overlap: int | None = None,
        workers: int | None = None,
        cfg_options: dict | Sequence[str] | None = None,
        launcher: str = 'none',
    ) -> None:
        if batch_size < 1 or not 0 <= opacity <= 1 or (workers is not None and workers < 1):
            raise ValueError(
                f'batch_size={batch_size} and workers={workers} must be 1 or more, and opacity={opacity} from 0 to 1'
            )
        settings = dict(save=sorted(save), opacity=opacity, classes=classes and list(classes), threshold=threshold)
        settings |= dict(amp=amp, half=half, fuse=fuse, batch_size=batch_size)
        settings |= dict(tta=tta, tile=tile, overlap=overlap)
        folder = ResultFolder(str(out_dir), save, settings, opacity)
        self.source = Source(inputs, skip=folder.skip)
        if launcher != 'none' and not dist.is_initialized():
            init_process_group(launcher, timeout=A_WEEK)
        self.rank, self.world_size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        of_torch = dict(amp=amp, half=half, fuse=fuse, compile=compile, cuda_graphs=cuda_graphs)
        if any(of_torch.values()) and (file := _exported_file(model, checkpoint)):
            names = ', '.join(name for name, value in of_torch.items() if value)
            raise ValueError(f'{names}: for networks that run in PyTorch; {file} is as it was exported')
        if isinstance(model, nn.Module):
            if checkpoint is not None or cfg_options or backend or weights != 'ema':
                raise ValueError(
                    'checkpoint, weights, backend and cfg_options are for a model that is still to be built'
                )
            model = copy.deepcopy(model) if half or fuse or compile or cuda_graphs else model
        else:
            require_weights(model, checkpoint)
            model = init_model(model, checkpoint, device or 'cuda', cfg_options, weights, backend)
        settings['model'] = _identity(model)
        if fuse:
            fuse_layers(model)
        if half:
            half_precision(model)
        if compile:
            compile_parts(model)
        if cuda_graphs:
            record_parts(model)
        dtype = amp_dtype(None if amp == 'auto' else amp) if amp else None
        whole = Segmentor(model, folder.needs_scores, classes, threshold, dtype, tta=tta)
        self.segmentor = TiledSegmentor(whole, tile, overlap, batch_size)
        folder.rank, self.folder = self.rank, folder
        self.batch_size = batch_size
        self.workers = workers or min(4, available_cpus())
        self.resume = resume or bool(restarted_jobs())
        if self.rank == 0:
            folder.prepare(self.resume)
        self._wait_for_all()

    def run(self) -> Summary:
        """Segment all inputs of this process's share; the first one writes the files that are one for all.

        A file that cannot be read is reported, counted and left out. Ctrl-C ends a camera or stream as its end would;
        anything else it interrupts, to be resumed.

        Raises:
            OSError: a result cannot be written (disk full, for instance).
            KeyboardInterrupt: Ctrl-C; what is written is whole.
        """
        start = time.monotonic()
        done, errors, failed = 0, [], 0
        self.folder.open(self.resume)
        entries = share(self.source, self.rank, self.world_size)
        flow = Flow(entries, self.segmentor, self.folder, self.batch_size, self.workers)
        try:
            with self._interruptible(flow), closing(iter(flow)) as records:
                for record in self._shown(records):
                    if 'error' in record:
                        failed += 1
                        errors += [record['error']] * (failed <= MAX_ERRORS)
                        print(f'failed: {record["error"]}', file=sys.stderr, flush=True)
                    elif 'areas' in record:
                        done += 1
        finally:
            self.folder.close()
        counts = torch.tensor([done, flow.skipped, failed])
        if self.world_size > 1:
            counts = counts.cuda() if dist.get_backend() == 'nccl' else counts
            dist.all_reduce(counts)
        if self.rank == 0:
            self.folder.merge(self.segmentor.classes)
        self._wait_for_all()
        done, skipped, failed = counts.tolist()
        return Summary(done, skipped, failed, time.monotonic() - start, tuple(errors))

    def _shown(self, records: Iterator[dict]) -> Iterator[dict]:
        """The records, with progress."""
        if self.rank:
            return records
        total = self.source.images
        if total is not None:
            total = max(-(-(total - len(self.folder.done)) // self.world_size), 0)
        return track(records, total, 'predict', 'images')

    @contextmanager
    def _interruptible(self, flow: Flow):
        """Let the first Ctrl-C end a camera or stream in order."""
        if not self.source.is_endless or threading.current_thread() is not threading.main_thread():
            yield
            return

        def end(*_) -> None:
            signal.signal(signal.SIGINT, before)
            flow.stop()

        before = signal.signal(signal.SIGINT, end)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _wait_for_all(self) -> None:
        if self.world_size > 1:
            dist.barrier()


def _exported_file(model: nn.Module | str | Path | Config, checkpoint: str | Path | None) -> str | Path | None:
    """The exported file that the network is in, if it is."""
    if isinstance(model, nn.Module):
        return getattr(model, 'file', None)
    return next((file for file in (model, checkpoint) if is_exported(file)), None)


def _identity(model: nn.Module) -> str:
    """Of weights and config, so that a resumed run goes on with the same model only."""
    weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    cfg = getattr(model, 'cfg', {})  # without, Segmentor refuses it
    text = repr((cfg.get('model'), cfg.get('test_dataloader'), cfg.get('test_pipeline')))
    digest = getattr(model, 'digest', '')  # of an exported file, which has no weights here
    return hashlib.sha256((digest_of_tensors(weights, {}) + digest + text).encode()).hexdigest()[:16]
