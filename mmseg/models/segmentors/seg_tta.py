"""Test-time augmentation: one image in several views, and the labels that all of them together give."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from .scores import MeanScores


@MODELS.register_module()
class SegTTAModel(BaseTTAModel):
    """A segmentor that sees each image at several sizes, flipped and unflipped, and averages the probabilities.

    ``test_step`` takes what ``TestTimeAug`` and ``pseudo_collate`` make: ``inputs`` and ``data_samples``, for each view
    a batch. Of all views only the coarse scores are kept at once; they come to labels a few rows at a time, as
    :class:`~mmseg.models.segmentors.scores.MeanScores`. Each image is returned as the sample of its first view that is
    not flipped, with ``pred_sem_seg``; with ``test_cfg.return_scores`` also ``seg_logits``, the mean probabilities.

    Args:
        module: the segmentor, or its config.
        data_preprocessor: of the segmentor, where its config states none.
    """

    def __init__(self, module: dict | nn.Module, data_preprocessor: dict | nn.Module | None = None) -> None:
        if isinstance(module, dict):  # mmengine would not look in our scope
            own = {} if data_preprocessor is None else dict(data_preprocessor=data_preprocessor)
            module = MODELS.build({**own, **module})
        super().__init__(module)

    @torch.no_grad()
    def test_step(self, data: dict) -> list[SegDataSample]:
        if not hasattr(self.module, 'image_scores'):
            return super().test_step(data)
        merged = []
        for samples, mean in zip(zip(*data['data_samples'], strict=True), self.mean_scores(data), strict=True):
            sample = _unflipped(samples)
            if self.module.test_cfg['return_scores']:
                sample.seg_logits = PixelData(data=mean.at_image_size())
            sample.pred_sem_seg = PixelData(data=mean.labels()[None])
            merged.append(sample)
        return merged

    def mean_scores(self, data: dict) -> list[MeanScores]:
        """Of each image of a batch as for :meth:`test_step`."""
        views = []
        for inputs, samples in zip(data['inputs'], data['data_samples'], strict=True):
            batch = self.module.data_preprocessor(dict(inputs=inputs, data_samples=samples), False)
            views.append(list(self.module.image_scores(batch['inputs'], batch['data_samples'])))
        return [MeanScores(of_image) for of_image in zip(*views, strict=True)]

    def merge_preds(self, data_samples_list: Sequence[Sequence[SegDataSample]]) -> list[SegDataSample]:
        """For each image, its views' samples with ``seg_logits`` at one size -> one sample with ``pred_sem_seg``."""
        merged = []
        for samples in data_samples_list:
            mean = sum(self._probabilities(sample.seg_logits.data) for sample in samples) / len(samples)
            sample = _unflipped(samples)
            threshold = getattr(self.module, 'threshold', None)
            labels = mean.argmax(dim=0) if threshold is None else (mean[0] > threshold).long()
            sample.pred_sem_seg = PixelData(data=labels[None])
            merged.append(sample)
        return merged

    def _probabilities(self, scores: Tensor) -> Tensor:
        """Those of a head with one channel, or with queries, are handed out as probabilities already."""
        of_one_class = getattr(self.module, 'threshold', None) is not None
        of_queries = getattr(self.module, 'predicts_masks', False)
        return scores if of_one_class or of_queries else scores.softmax(dim=0)


def _unflipped(samples: Sequence[SegDataSample]) -> SegDataSample:
    """The first view whose annotation lies as the image does."""
    return next((sample for sample in samples if not sample.get('flip')), samples[0])
