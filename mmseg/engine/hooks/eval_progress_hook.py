"""How far an evaluation is."""

from collections.abc import Sequence

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook

from mmseg.registry import HOOKS
from mmseg.utils.progress import track


@HOOKS.register_module()
class EvalProgressHook(Hook):
    """Shows images done, images/s and time left of a validation or test, by the first process's share.

    Args:
        interval: seconds between two plain lines, where the output is no terminal with a live bar.
    """

    def __init__(self, interval: float = 10.0) -> None:
        self.interval = interval
        self._images = None

    def before_val_epoch(self, runner) -> None:
        self._start(len(runner.val_dataloader.dataset), 'validation')

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs: Sequence | None = None) -> None:
        self._advance(len(outputs))

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        self._stop()

    def before_test_epoch(self, runner) -> None:
        self._start(len(runner.test_dataloader.dataset), 'test')

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs: Sequence | None = None) -> None:
        self._advance(len(outputs))

    def after_test_epoch(self, runner, metrics: dict | None = None) -> None:
        self._stop()

    def _start(self, images: int, what: str) -> None:
        if is_main_process():
            self._images = track(range(images), images, what, unit='images', interval=self.interval)
            next(self._images, None)

    def _advance(self, images: int) -> None:
        if self._images is None:
            return
        for _ in range(images * get_world_size()):
            next(self._images, None)

    def _stop(self) -> None:
        if self._images is not None:
            self._images.close()
            self._images = None
