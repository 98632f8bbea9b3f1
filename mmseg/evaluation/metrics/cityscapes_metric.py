"""Cityscapes' own scores, and the files that its server takes."""

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmseg.registry import METRICS

from .iou_metric import label_map_of
from .prediction_files import PredictionFiles

ANNOTATION = ('_gtFine_labelTrainIds.png', '_gtFine_labelIds.png')  # what we train on, what the scripts score

INSTANCES = hasattr(np, 'in1d')  # which the scripts call for instance scores, and numpy 2.4 has no more
KINDS = ('Classes', 'InstClasses', 'Categories', 'InstCategories')
SCORES = [f'averageScore{kind}' for kind in KINDS if INSTANCES or not kind.startswith('Inst')]


@METRICS.register_module()
class CityscapesMetric(BaseMetric):
    """Predictions written as Cityscapes' server wants them, and scored by its own scripts.

    One PNG an image, of label ids (road 7, bicycle 33) and not of the class indices used in training, under the
    image's name: the server and the scripts look for ``CITY_SEQUENCE_FRAME*.png``. The dataset says which ids its
    classes have (``label_ids`` in its ``metainfo``, as ``CityscapesDataset`` does).

    Scores, fractions as the scripts give them: ``averageScoreClasses`` (mIoU), ``averageScoreInstClasses``,
    ``averageScoreCategories``, ``averageScoreInstCategories``. They need ``cityscapesscripts`` and, beside the label
    maps of the split, the dataset's ``*_gtFine_labelIds.png`` and ``*_gtFine_instanceIds.png``.

    Args:
        output_dir: folder for the files.
        format_only: write the files, measure nothing: for the test split, whose annotations are not public.
        keep_results: keep the files once they are scored; False removes them.
        collect_device: part of every mmengine metric; of no effect.
        prefix: put before each key, as ``prefix/averageScoreClasses``.
    """

    default_prefix = ''

    def __init__(
        self,
        output_dir: str,
        format_only: bool = False,
        keep_results: bool = True,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if format_only and not keep_results:
            raise ValueError('format_only=True is for the files, and keep_results=False would remove them')
        if not format_only and importlib.util.find_spec('cityscapesscripts') is None:
            raise ModuleNotFoundError(
                'CityscapesMetric scores with cityscapesscripts: pip install cityscapesscripts; or set format_only=True'
            )
        self.files = PredictionFiles(output_dir)
        self.format_only = format_only
        self.keep_results = keep_results
        self._pairs: dict[str, str] = {}

    @property
    def metric_names(self) -> list[str]:
        """The keys of what :meth:`evaluate` will return, known before it does."""
        return [] if self.format_only else [self._with_prefix(name) for name in SCORES]

    def _with_prefix(self, name: str) -> str:
        return f'{self.prefix}/{name}' if self.prefix else name

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Write a batch's predictions.

        Args:
            data_batch: not used.
            data_samples: as for :class:`IoUMetric`; annotations are read from ``seg_map_path`` later.
        """
        label_ids = (self.dataset_meta or {}).get('label_ids')
        if label_ids is None:
            raise ValueError(
                'CityscapesMetric needs the label id of each class: use CityscapesDataset, or give the dataset '
                'metainfo=dict(label_ids=[...])'
            )
        for sample in data_samples:
            sample = sample if isinstance(sample, dict) else sample.to_dict()
            file = self.files.write(label_map_of(sample['pred_sem_seg']), sample, label_ids)
            if not self.format_only:
                self._pairs[str(file)] = _annotation(sample)

    def evaluate(self, size: int) -> dict[str, float]:
        """The scores over the files of all processes, the same in each of them.

        Args:
            size: not used: a repeated image has one file.
        """
        self.files.check()
        pairs = {file: label for part in all_gather_object(self._pairs) for file, label in part.items()}
        self._pairs = {}
        if self.format_only:
            print_log(f'Predictions are in {self.files.folder}', logger='current')
            return {}
        metrics = [self.compute_metrics(sorted(pairs.items())) if is_main_process() else {}]
        broadcast_object_list(metrics)
        return {self._with_prefix(name): value for name, value in metrics[0].items()}

    def compute_metrics(self, results: Sequence[tuple[str, str]]) -> dict[str, float]:
        """Score pairs of a prediction file and an annotation file."""
        from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as scripts

        if not INSTANCES:
            print_log(
                f'cityscapesscripts cannot score instances with numpy {np.__version__}, only with numpy < 2.4',
                logger='current',
                level=logging.WARNING,
            )
        scripts.args.evalInstLevelScore = INSTANCES
        scripts.args.JSONOutput, scripts.args.quiet = False, True
        predictions, annotations = map(list, zip(*results, strict=True))
        try:
            scores = scripts.evaluateImgLists(predictions, annotations, scripts.args)
        except SystemExit:
            raise RuntimeError('cityscapesscripts could not score the predictions; the reason stands above') from None
        if not self.keep_results:
            for file in predictions:
                Path(file).unlink()
        return {name: float(scores[name]) for name in SCORES}


def _annotation(sample: dict) -> str:
    path = str(sample.get('seg_map_path') or '')
    if not path.endswith(ANNOTATION[0]):
        raise ValueError(
            f'{sample["img_path"]}: its annotation is {path!r}, and CityscapesMetric looks for *{ANNOTATION[1]} beside '
            f'*{ANNOTATION[0]}. Where there is none to score, as for the test split, set format_only=True'
        )
    path = path.removesuffix(ANNOTATION[0]) + ANNOTATION[1]
    if not Path(path).is_file():
        raise FileNotFoundError(f"'{path}' does not exist: gtFine_trainvaltest.zip has it")
    return path
