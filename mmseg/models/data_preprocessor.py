"""From a batch of images as they were loaded to what the network takes."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmseg.registry import MODELS


@MODELS.register_module()
class SegDataPreProcessor(BaseDataPreprocessor):
    """Moves, normalises, pads and stacks a batch.

    Args:
        mean, std: one number a channel, in the colour order after conversion, on the 0-255 scale.
        size: H x W that training images and annotations are padded to, at the bottom and right.
        size_divisor: pad training images so that both sides are multiples of it, in place of ``size``.
        pad_val: pixel value of the padding, after normalisation.
        seg_pad_val: label of the padding.
        bgr_to_rgb, rgb_to_bgr: reverse the first three channels, which are colours.
        test_cfg: ``dict(size=...)`` or ``dict(size_divisor=...)`` to pad at test time, where images keep
            their own size by default.
        non_blocking: copy to the device without waiting.

    Returns (``forward``):
        dict: ``inputs``, float32 B x channels x H x W, or at test time a list of channels x H x W where images have
        different sizes; ``data_samples`` as given, annotations padded like their images in training.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        size: Sequence[int] | None = None,
        size_divisor: int | None = None,
        pad_val: float = 0,
        seg_pad_val: int = 255,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        test_cfg: dict | None = None,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking)
        if bgr_to_rgb and rgb_to_bgr:
            raise ValueError('SegDataPreProcessor: bgr_to_rgb and rgb_to_bgr exclude each other')
        if (mean is None) != (std is None):
            raise ValueError('SegDataPreProcessor: give both mean and std, or neither')
        if mean is not None and not all(hasattr(numbers, '__len__') for numbers in (mean, std)):
            raise TypeError(f'SegDataPreProcessor: mean={mean!r} and std={std!r} are lists: one number a channel')
        if std is not None and not all(number > 0 for number in std):
            raise ValueError(f'SegDataPreProcessor: std={std}: numbers that images are divided by, each above 0')
        if mean is not None and len(mean) != len(std):
            raise ValueError(f'SegDataPreProcessor: mean={mean} and std={std} need one number each for every channel')
        if unknown := set(test_cfg or {}) - {'size', 'size_divisor'}:
            raise TypeError(f'SegDataPreProcessor: test_cfg knows size and size_divisor, not {sorted(unknown)}')
        self.padding = _check_padding(size, size_divisor)
        self.test_padding = _check_padding(**(test_cfg or {}))
        self.pad_val, self.seg_pad_val = pad_val, seg_pad_val
        self.reverse_channels = bgr_to_rgb or rgb_to_bgr
        self.normalize = mean is not None
        if self.normalize:
            self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1), False)
            self.register_buffer('std', torch.tensor(std, dtype=torch.float32).view(-1, 1, 1), False)

    def _apply(self, fn: Callable, recurse: bool = True) -> 'SegDataPreProcessor':
        before = dict(self.named_buffers())
        super()._apply(fn, recurse)
        for name, value in self.named_buffers():
            if value.dtype != before[name].dtype:  # model.half() is about parameters; images are normalised in float32
                setattr(self, name, before[name].to(value.device))
        return self

    def forward(self, data: dict, training: bool = False) -> dict:
        data = self.cast_data(data)
        images, samples = list(data['inputs']), data.get('data_samples')
        size, divisor = self.padding if training else self.test_padding
        if training or size or divisor:
            size = size or [max(image.shape[i] for image in images) for i in (-2, -1)]
            size = [-(-side // (divisor or 1)) * (divisor or 1) for side in size]
        if training and samples is None:
            raise ValueError('SegDataPreProcessor: training needs data_samples')

        if len({image.shape for image in images}) == 1:
            batch = self._pad(self._normalize(torch.stack(images)), size, self.pad_val)
        else:
            batch = [self._pad(self._normalize(image), size, self.pad_val) for image in images]
            if len({image.shape for image in batch}) == 1:
                batch = torch.stack(batch)
            elif training:
                sizes = sorted({tuple(image.shape[-2:]) for image in images})
                raise ValueError(
                    f'SegDataPreProcessor: training images of sizes {sizes} are not all within size={size}; '
                    'crop them to it in the pipeline (RandomCrop)'
                )
        if size and samples is not None:
            for sample, image, padded in zip(samples, images, batch, strict=True):
                self._pad_sample(sample, image.shape[-2:], padded.shape[-2:], training)
        return dict(inputs=batch, data_samples=samples)

    def _normalize(self, images: Tensor) -> Tensor:
        """... x channels x H x W of any type -> float32."""
        channels = images.shape[-3]
        if self.reverse_channels:
            if channels < 3:
                raise ValueError(
                    f'SegDataPreProcessor: bgr_to_rgb and rgb_to_bgr are about colours, the image has {channels} '
                    'channel(s); set both to False'
                )
            colours = images[..., :3, :, :].flip(-3)
            images = colours if channels == 3 else torch.cat([colours, images[..., 3:, :, :]], dim=-3)
        if self.normalize and len(self.mean) != channels:
            raise ValueError(
                f'SegDataPreProcessor: mean and std have {len(self.mean)} numbers, the image has {channels} '
                'channel(s); write one number a channel in data_preprocessor.mean and std, or load other channels '
                "(LoadImageFromFile's color_type)"
            )
        return (images.float() - self.mean) / self.std if self.normalize else images.float()

    @staticmethod
    def _pad(x: Tensor, size: Sequence[int] | None, value: float) -> Tensor:
        bottom, right = (max(s - side, 0) for s, side in zip(size, x.shape[-2:], strict=True)) if size else (0, 0)
        return F.pad(x, (0, right, 0, bottom), value=value) if bottom or right else x

    def _pad_sample(self, sample, shape: torch.Size, padded: torch.Size, training: bool) -> None:
        """Pads the annotation like its image, and records the padding for the way back."""
        for name in ('gt_sem_seg', 'gt_edge_map') if training else ():
            if name in sample:
                field = getattr(sample, name)
                label = field.data
                del field.data  # a PixelData keeps the size of its first field
                field.data = self._pad(label, padded, self.seg_pad_val)
        sample.set_metainfo(
            dict(
                pad_shape=tuple(padded),
                padding_size=[0, padded[1] - shape[1], 0, padded[0] - shape[0]],  # left, right, top, bottom
            )
        )


def _check_padding(size: Sequence[int] | None = None, size_divisor: int | None = None):
    if size is not None and size_divisor is not None:
        raise ValueError(f'SegDataPreProcessor: size={size} and size_divisor={size_divisor} exclude each other')
    return size, size_divisor
