"""Whether the training images show every class."""

import logging

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmseg.registry import HOOKS

STRIDE = 8  # looks at every eighth row and column: enough of many images, and next to no time
LISTED = 10


@HOOKS.register_module()
class UnseenClassesHook(Hook):
    """Warns once, before the first validation after an epoch of images, of classes that training has not met.

    Labels that a config reads wrongly (masks of 0 and 255 without a ``label_map``, labels off by one) leave a class
    without a pixel, and nothing else shows it: the loss falls as ever.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self._seen: torch.Tensor | None = None
        self._images = 0
        self._done = False

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        """Look at the labels of this process's images."""
        classes = (getattr(runner.train_dataloader.dataset, 'metainfo', None) or {}).get('classes')
        if self._done or not classes or not isinstance(data_batch, dict):
            return
        if self._seen is None:
            self._seen = torch.zeros(len(classes), dtype=torch.int64)
        for sample in data_batch.get('data_samples') or ():
            self._images += 'gt_sem_seg' in sample
            if 'gt_sem_seg' in sample and not self._seen.all():
                labels = sample.gt_sem_seg.data[..., ::STRIDE, ::STRIDE].cpu()
                self._seen[labels[(labels >= 0) & (labels < len(classes))]] = 1

    def before_val_epoch(self, runner) -> None:
        """Say what was not seen, if the images make an epoch."""
        if self._seen is None or self._done:
            return
        counts = torch.cat([self._seen, torch.tensor([self._images])])
        all_reduce(counts)
        *seen, images = counts.tolist()
        if images < len(runner.train_dataloader.dataset):
            return
        self._done = True
        names = runner.train_dataloader.dataset.metainfo['classes']
        unseen = [name for name, count in zip(names, seen, strict=True) if not count]
        if not unseen:
            return
        more = f' and {len(unseen) - LISTED} more' if len(unseen) > LISTED else ''
        print_log(
            f'the model cannot learn {len(unseen)} of {len(names)} classes, of which no pixel was found in '
            f'{images} training images: {", ".join(map(repr, unseen[:LISTED]))}{more}. What the files hold, and the '
            f'config lines that mend it: lrformer check {runner.cfg.filename or "CONFIG"}',
            logger='current',
            level=logging.WARNING,
        )
