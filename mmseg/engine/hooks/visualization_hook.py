"""Pictures of predictions while validation and test run."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample
from mmseg.visualization.picture import picture_of


@HOOKS.register_module()
class SegVisualizationHook(Hook):
    """Draws every ``interval``-th image of validation and test: annotation left, prediction right.

    The picture is read from the image's file; data that has none (drawn by the program, or an array)
    is taken from the batch. Each process counts and draws the images of its own share.

    Args:
        draw: whether to do anything; ``show`` and ``out_dir`` ask for it, too.
        interval: draw one image in this many, from the first one on.
        show: open a window for each.
        wait_time: seconds it stays open; 0 waits for a key.
        backend_args: how to read files that are not on a local disk (mmengine's file backends).
        out_dir: write the pictures here, as ``NAME.png`` in test and ``NAME_ITERATION.png`` in
            validation. By default the visualizer's backends get those of the main process
            (``vis_data/vis_image`` in the run's folder).
    """

    priority = 'NORMAL'

    def __init__(
        self,
        draw: bool = False,
        interval: int = 50,
        show: bool = False,
        wait_time: float = 0.0,
        backend_args: dict | None = None,
        out_dir: str | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.draw = draw or show or out_dir is not None
        self.interval = interval
        self.show = show
        self.wait_time = wait_time
        self.backend_args = backend_args
        self.out_dir = None if out_dir is None else Path(out_dir)
        self._seen = 0
        self._written: dict[str, str] = {}

    def before_val_epoch(self, runner: Runner) -> None:
        self._seen = 0

    def before_test_epoch(self, runner: Runner) -> None:
        self._seen = 0

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[SegDataSample]
    ) -> None:
        """Draw what is due of this batch; pictures of successive validations lie side by side."""
        self._draw_batch(runner, data_batch, outputs, mode='val')

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[SegDataSample]
    ) -> None:
        """Draw what is due of this batch."""
        self._draw_batch(runner, data_batch, outputs, mode='test')

    def _draw_batch(self, runner: Runner, data_batch: dict, outputs: Sequence[SegDataSample], mode: str) -> None:
        if not self.draw:
            return
        inputs = data_batch['inputs']
        if isinstance(inputs[0], (list, tuple)):
            inputs = inputs[0]  # of several views of the batch, the first
        for i, sample in enumerate(outputs):
            index, self._seen = self._seen, self._seen + 1
            if index % self.interval:
                continue
            path = sample.get('img_path') or f'image_{index}'
            step = runner.iter if mode == 'val' else index
            runner.visualizer.add_datasample(
                f'{mode}_{Path(path).stem}',
                picture_of(sample, tuple(sample.pred_sem_seg.data.shape[-2:]), inputs[i], self.backend_args),
                sample,
                show=self.show,
                wait_time=self.wait_time,
                out_file=None if self.out_dir is None else self._file(path, f'_{step}' if mode == 'val' else ''),
                step=step,
            )

    def _file(self, path: str, suffix: str) -> str:
        """Where the picture of the image at ``path`` goes; images of one name keep apart by their folders."""
        parts = Path(path).with_suffix('').parts
        name = parts[-1]
        for folder in reversed(parts[:-1]):
            if self._written.get(name, path) == path:
                break
            name = f'{folder.strip("/")}_{name}'
        self._written[name] = path
        return str(self.out_dir / f'{name}{suffix}.png')
