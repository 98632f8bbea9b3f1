"""Predicted label maps as PNG files, with the labels that the dataset's own files have."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.dist import all_gather_object
from torch import Tensor


class PredictionFiles:
    """A folder of predictions, one PNG an image under the name of the image: 8 bits, or 16 where labels need them.

    Args:
        folder: where to write.
        keep_folders: how many folders above the image stay in the name of its PNG; 1 turns
            ``val/bern/0001.jpg`` into ``bern/0001.png``.
    """

    def __init__(self, folder: str, keep_folders: int = 0) -> None:
        self.folder = Path(folder)
        self.keep_folders = keep_folders
        self._images: dict[str, str] = {}  # file name -> image

    def write(self, pred: Tensor, sample: Mapping, label_ids: Sequence[int] | None) -> Path:
        """Write one prediction.

        Args:
            pred: H x W class indices.
            sample: its ``img_path`` names the file.
            label_ids: for each class the label to write. None writes class indices, and where ``sample`` says
                ``reduce_zero_label``, as the dataset's files have 0 for "no class", 1 more.

        Returns:
            The file.

        Raises:
            ValueError: there is no ``img_path``, or two images would be written to one file.
        """
        if not sample.get('img_path'):
            raise ValueError('output_dir names predictions by their images: keep img_path in PackSegInputs(meta_keys)')
        image = Path(sample['img_path'])
        folders = image.parts[:-1][-self.keep_folders :] if self.keep_folders else ()
        name = str(Path(*folders, f'{image.stem}.png'))
        self._claim(name, str(image))
        classes = pred.cpu().numpy()
        if label_ids is not None:
            labels = np.asarray(label_ids, dtype=np.uint16)[classes]
        else:
            labels = classes.astype(np.uint16) + bool(sample.get('reduce_zero_label'))
        if labels.max() < 256:
            labels = labels.astype(np.uint8)
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(cv2.imencode('.png', labels)[1].tobytes())
        return file

    def check(self) -> None:
        """Raise a ValueError if two processes wrote images of one name; begin anew."""
        written = all_gather_object(self._images)
        for images in written:
            for name, image in images.items():
                self._claim(name, image)
        self._images = {}

    def _claim(self, name: str, image: str) -> None:
        if self._images.setdefault(name, image) != image:
            raise ValueError(
                f'{self._images[name]} and {image} would both be written to {self.folder / name}: '
                f'set keep_folders={self.keep_folders + 1} in IoUMetric'
            )
