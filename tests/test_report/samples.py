"""Images with annotations and predictions, and what a report collects of them."""

import numpy as np
import torch
from mmengine.structures import PixelData

from mmseg.report import ReportMetric
from mmseg.structures import SegDataSample

CLASSES = ('road', '<b>car</b>', 'sky & "cloud"', 'never')


def one_image(number: int, height: int = 24, width: int = 32) -> tuple[dict, SegDataSample]:
    """Blobs, the more of them wrong the higher the number; a batch of one, and its sample."""
    rng = np.random.default_rng(number)
    label = rng.integers(0, 3, (height // 8, width // 8)).repeat(8, 0).repeat(8, 1)
    pred = np.where(rng.random(label.shape) < number / 60, rng.integers(0, 3, label.shape), label)
    label[rng.random(label.shape) < 0.1] = 255
    sample = SegDataSample(metainfo=dict(img_path=f'images/{number:04d}.jpg', ori_shape=label.shape))
    sample.gt_sem_seg = PixelData(data=torch.as_tensor(label)[None])
    sample.pred_sem_seg = PixelData(data=torch.as_tensor(pred)[None])
    logits = np.eye(4)[pred].transpose(2, 0, 1) * 3 + rng.normal(size=(4, *label.shape))
    sample.seg_logits = PixelData(data=torch.as_tensor(logits))
    return dict(inputs=[torch.as_tensor(rng.integers(0, 255, (3, height, width)), dtype=torch.uint8)]), sample


def report_metric(**options) -> ReportMetric:
    metric = ReportMetric(**options)
    metric.dataset_meta = dict(classes=CLASSES)
    return metric


def collected(numbers, **options) -> ReportMetric:
    """The metric after a pass over these images."""
    metric = report_metric(**options)
    for number in numbers:
        batch, sample = one_image(number)
        metric.process(batch, [sample.to_dict()])
    metric.evaluate(len(numbers))
    return metric
