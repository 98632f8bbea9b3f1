"""What segmentors share that run a network on images: its windows, and the way from its scores to labels."""

from collections.abc import Iterator
from functools import partial

import torch
from mmengine.structures import PixelData
from torch import Tensor

from mmseg.structures import SegDataSample

from .scores import BinaryScores, ImageScores, MaskScores, Window


class Predictor:
    """The inference of a segmentor, whatever runs its network.

    Attributes:
        test_cfg: from :func:`check_test_cfg`.
        align_corners: of the resizes of scores.
        threshold: of the probability of class 1, where the network gives that alone; else None.
        predicts_masks: the network gives class and mask logits of queries.
    """

    def _scores(self, inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """B x channels x H x W -> scores B x classes x h x w; or of queries B x Q x (classes + 1), B x Q x h x w."""
        raise NotImplementedError

    def predict(
        self, inputs: Tensor | list[Tensor], data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Fills in ``pred_sem_seg`` (1 x H x W, int64) at each image's ``ori_shape``."""
        data_samples = data_samples or [SegDataSample(metainfo=dict(ori_shape=tuple(x.shape[-2:]))) for x in inputs]
        for scores, sample in zip(self.image_scores(inputs, data_samples), data_samples, strict=True):
            if self.test_cfg['return_scores'] or not self.test_cfg['streamed']:
                full, labels = scores.decide(scores.at_image_size())
                if self.test_cfg['return_scores']:
                    sample.seg_logits = PixelData(data=full)
            else:
                labels = scores.labels()
            sample.pred_sem_seg = PixelData(data=labels[None])
        return data_samples

    def image_scores(self, inputs: Tensor | list[Tensor], data_samples: list[SegDataSample]) -> Iterator[ImageScores]:
        """Runs the network and yields the scores of one image after the other, as :class:`ImageScores`."""
        batches = [inputs] if isinstance(inputs, Tensor) else [image[None] for image in inputs]
        samples = iter(data_samples)
        for batch in batches:
            windows = self.slide(batch) if self.test_cfg['mode'] == 'slide' else self.whole(batch)
            of_masks = isinstance(windows[0].scores, tuple)
            kind = MaskScores if of_masks else ImageScores
            if self.threshold is not None:
                kind = partial(BinaryScores, threshold=self.threshold)
            for i in range(len(batch)):
                meta = next(samples).metainfo
                parts = [tuple(part[i] for part in w.scores) if of_masks else w.scores[i] for w in windows]
                yield kind(
                    [window._replace(scores=part) for window, part in zip(windows, parts, strict=True)],
                    input_size=batch.shape[-2:],
                    image_size=meta['ori_shape'][:2],
                    padding=meta.get('padding_size', (0, 0, 0, 0)),
                    flip=meta.get('flip_direction') if meta.get('flip') else None,
                    align_corners=self.align_corners,
                )

    def whole(self, inputs: Tensor) -> list[Window]:
        """One window, the whole input; its scores are B x classes x h x w, or class and mask logits of queries."""
        return [Window(self._scores(inputs), 0, 0, *inputs.shape[-2:])]

    def slide(self, inputs: Tensor) -> list[Window]:
        """Windows of ``crop_size``, a ``stride`` apart, the last ones moved back inside the input."""
        crop, stride, size = self.test_cfg['crop_size'], self.test_cfg['stride'], inputs.shape[-2:]

        def starts(axis: int) -> list[int]:
            last = max(size[axis] - crop[axis], 0)
            return [min(start, last) for start in range(0, last + stride[axis], stride[axis])]

        height, width = (min(c, s) for c, s in zip(crop, size, strict=True))
        corners = [(top, left) for top in starts(0) for left in starts(1)]
        return [
            Window(self._scores(inputs[..., top : top + height, left : left + width]), top, left, height, width)
            for top, left in corners
        ]

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict] | None = None) -> Tensor:
        """Scores of a batch at the network's input size, B x classes x H x W."""
        samples = [SegDataSample(metainfo=dict(ori_shape=tuple(inputs.shape[-2:]))) for _ in inputs]
        return torch.stack([scores.at_image_size() for scores in self.image_scores(inputs, samples)])


def check_test_cfg(test_cfg: dict | None) -> dict:
    """All keys of a segmentor's ``test_cfg``, whose meaning :class:`EncoderDecoder` states.

    Raises:
        TypeError, ValueError: a key that is none, or a value that cannot be.
    """
    cfg = dict(mode='whole', crop_size=None, stride=None, return_scores=False, streamed=True) | dict(test_cfg or {})
    if unknown := set(cfg) - {'mode', 'crop_size', 'stride', 'return_scores', 'streamed'}:
        raise TypeError(
            f'test_cfg does not know {sorted(unknown)}; its keys are mode, crop_size, stride, return_scores, streamed'
        )
    if cfg['mode'] not in ('whole', 'slide'):
        raise ValueError(f"test_cfg.mode={cfg['mode']!r} is not 'whole' or 'slide'")
    if cfg['mode'] == 'slide' and not (cfg['crop_size'] and cfg['stride']):
        raise ValueError("test_cfg.mode='slide' needs crop_size=(height, width) and stride=(height, width)")
    if cfg['mode'] == 'slide' and any(step > side for step, side in zip(cfg['stride'], cfg['crop_size'], strict=True)):
        raise ValueError(
            f'test_cfg.stride={cfg["stride"]} leaves gaps between windows of '
            f'crop_size={cfg["crop_size"]}; make it at most the window'
        )
    return cfg
