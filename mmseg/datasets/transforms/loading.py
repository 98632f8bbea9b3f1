"""From files to arrays: images, and annotations as class indices."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import LoadAnnotations as LoadAnnotationsBase

from mmseg.registry import TRANSFORMS
from mmseg.utils.image_file import PNG_START, decode, read_bytes, read_image

from ..label_colours import colours_of, labels_of
from .base import Transform, count_labels, require

# Labels are looked up in a table; more than 16 bits is no label map but, say, colours packed into integers.
MAX_LABEL = 2**16 - 1
MAX_LISTED = 10


@TRANSFORMS.register_module()
class LoadImageFromFile(Transform):
    """Load ``img_path`` as ``img``: mmcv's transform of this name, with errors that name the file.

    Adds ``img`` (H x W x 3, uint8, BGR unless told otherwise), ``img_shape`` and ``ori_shape``
    (both height, width).

    A photo that EXIF says to turn is turned, but for one with an annotation (``seg_map_path``): that was drawn
    either on the pixels as stored or as shown, and its size decides. Where both fit, pixels stay as stored. See
    :func:`mmseg.utils.image_file.read_image`.

    Args:
        ignore_empty: Return None for an unreadable image, which makes the dataset pick another sample,
            instead of raising.
        to_float32: Convert the image to float32.
        color_type: ``flag`` of :func:`mmcv.imfrombytes`: 'color', 'grayscale', 'unchanged' (neither turned nor
            reduced to 8 bits and 3 channels), ...
        imdecode_backend: 'cv2', 'pillow', 'turbojpeg' or 'tifffile'; ``.npy`` files are read with any.
        backend_args: Which storage backend of :mod:`mmengine.fileio` to read from; None goes by the path.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableFileError: (a ValueError) the file is empty, truncated, not an image or absurdly large.
    """

    def __init__(
        self,
        *,
        ignore_empty: bool = False,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'cv2',
        backend_args: dict | None = None,
    ) -> None:
        self.ignore_empty = ignore_empty
        self.to_float32 = to_float32
        self.color_type = color_type
        self.imdecode_backend = imdecode_backend
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict | None:
        try:
            img = read_image(
                results['img_path'],
                results.get('seg_map_path'),
                self.color_type,
                self.imdecode_backend,
                self.backend_args,
            )
        except (OSError, ValueError):
            if self.ignore_empty:
                return None
            raise
        return self._put(results, img)

    def _put(self, results: dict, img: np.ndarray) -> dict:
        if self.to_float32:
            img = img.astype(np.float32)
        results['img'] = img
        results['img_shape'] = img.shape[:2]
        results['ori_shape'] = img.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadImageFromNDArray(LoadImageFromFile):
    """Take an image that is in memory already: ``results['img']``, H x W x 3, BGR.

    Takes the arguments of :class:`LoadImageFromFile`, so that one can replace the other in a pipeline;
    those about files have no effect. Sets ``img_path`` to None.
    """

    def transform(self, results: dict) -> dict:
        results['img_path'] = None
        return self._put(results, results['img'])


@TRANSFORMS.register_module()
class LoadAnnotations(Transform, LoadAnnotationsBase):
    """Load ``seg_map_path`` as ``gt_seg_map``: H x W, one class index per pixel.

    The file holds one integer per pixel: 1, 8 or 16 bits grey, a palette PNG, read as indices, or a ``.npy`` array. It
    is never turned, whatever its EXIF data say.
    ``results`` may say how these become class indices; a step whose key is missing is left out. In order:

    - ``label_palette``: the file shows colours, and label k is the k-th [r, g, b] of this list
    - ``reduce_zero_label``: 0 becomes ``ignore_index``, which stays; labels between go down by one
    - ``label_map``: old index -> new index; a negative new index means ignored; labels that it does not
      name stay. Mappings do not chain: ``{0: 1, 1: 2}`` turns 0 into 1.
    - ``num_classes``: all labels must now be below it, or ``ignore_index`` (255 where missing)
    - ``ori_shape``: the size that the annotation must have

    ``gt_seg_map`` is uint8 where that holds all its labels, else the next wider type. Its key is added to
    ``seg_fields``.

    Args:
        reduce_zero_label: Whether annotation 0 means "no class". None asks ``results``.
        imdecode_backend: Decoder. Pillow is the one that reads palette images as indices.
        backend_args: Which storage backend of :mod:`mmengine.fileio` to read from; None goes by the path.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableFileError: (a ValueError) the file is empty, truncated, not an image or absurdly large.
        ValueError: it is a colour image (with ``label_palette``: one with other colours), has 2 or 4 bits grey or
            another size than its image, or holds a label outside the classes.
    """

    def __init__(
        self,
        reduce_zero_label: bool | None = None,
        *,
        imdecode_backend: str = 'pillow',
        backend_args: dict | None = None,
    ) -> None:
        super().__init__(
            with_bbox=False,
            with_label=False,
            with_seg=True,
            imdecode_backend=imdecode_backend,
            backend_args=backend_args,
        )
        self.reduce_zero_label = reduce_zero_label

    def _load_seg_map(self, results: dict) -> None:
        path = results.get('seg_map_path')
        if path is None:
            raise ValueError(
                f"image '{results.get('img_path')}' has no annotation: its sample holds no 'seg_map_path'. "
                'Set data_prefix=dict(seg_map_path=...), or take LoadAnnotations out of the pipeline to '
                'predict only.'
            )
        labels = load_label_map(path, self.imdecode_backend, self.backend_args, results.get('label_palette'))
        _check_size(labels, path, results)
        results['gt_seg_map'] = _to_classes(labels, path, self.reduces_zero_label(results), results)
        fields = results.setdefault('seg_fields', [])
        if 'gt_seg_map' not in fields:
            fields.append('gt_seg_map')

    def reduces_zero_label(self, results: dict) -> bool:
        """Whether label 0 means "no class": what the transform says, or else the dataset.

        Raises:
            ValueError: the two contradict each other.
        """
        of_dataset = results.get('reduce_zero_label')
        if self.reduce_zero_label is None:
            return bool(of_dataset)
        require(
            of_dataset is None or bool(of_dataset) == self.reduce_zero_label,
            f'LoadAnnotations has reduce_zero_label={self.reduce_zero_label}, the dataset {of_dataset}. '
            'Set it on the dataset and leave it out of LoadAnnotations.',
        )
        results['reduce_zero_label'] = self.reduce_zero_label
        return self.reduce_zero_label


def load_label_map(
    path,
    backend: str = 'pillow',
    backend_args: dict | None = None,
    label_palette: Sequence[Sequence[int]] | None = None,
) -> np.ndarray:
    """The labels as an annotation file holds them: H x W, unsigned integers; of colours, places in ``label_palette``.

    Raises:
        FileNotFoundError, UnreadableFileError, ValueError: as for :class:`LoadAnnotations`.
    """
    content = read_bytes(path, 'annotation', backend_args)
    if label_palette is not None:
        return labels_of(colours_of(content, path), label_palette, path)
    labels = decode(content, path, 'annotation', 'unchanged', backend)
    return as_integer_map(labels, path, content)


def as_integer_map(labels: np.ndarray, path, content: bytes) -> np.ndarray:
    # The byte after a PNG's sizes is its bits per pixel, the next its colour type, 0 for grey.
    if content.startswith(PNG_START) and content[24] in (2, 4) and content[25] == 0:
        raise ValueError(
            f"annotation '{path}' is a grey PNG of {content[24]} bits per pixel, whose values decoders stretch to "
            'the range from 0 to 255. Save it with 8 bits.'
        )
    if labels.ndim == 3 and labels.shape[2] == 1:
        labels = labels[..., 0]
    if labels.ndim != 2:
        raise ValueError(
            f"annotation '{path}' is a colour image ({labels.shape[-1]} channels), but one class index per "
            'pixel is needed. Say which colour is which label: metainfo=dict(label_palette=[[r, g, b], ...]). For '
            "palette PNGs, use LoadAnnotations(imdecode_backend='pillow')."
        )
    if labels.dtype == np.uint8:
        return labels
    if labels.dtype == np.bool_:  # 1-bit images
        return labels.astype(np.uint8)
    if labels.dtype.kind not in 'ui' or labels.min() < 0 or labels.max() > MAX_LABEL:
        raise ValueError(
            f"annotation '{path}' holds {labels.dtype} values from {labels.min()} to {labels.max()}: class "
            f'indices are integers from 0 to {MAX_LABEL}. Convert it to an 8- or 16-bit PNG of class indices.'
        )
    return labels


def _check_size(labels: np.ndarray, path, results: dict) -> None:
    shape = tuple(results.get('ori_shape', labels.shape)[:2])
    if labels.shape != shape:
        raise ValueError(
            f"annotation '{path}' is {labels.shape[0]}x{labels.shape[1]} (height x width), but its image "
            f"'{results.get('img_path')}' is {shape[0]}x{shape[1]}. Is it the annotation of another image?"
        )


def _to_classes(labels: np.ndarray, path, reduce_zero_label: bool, results: dict) -> np.ndarray:
    """File labels to class indices, through a table; raise where one is outside the classes."""
    ignore = results.get('ignore_index', 255)
    values, _ = count_labels(labels)
    table = class_table(int(values[-1]), reduce_zero_label, results.get('label_map'), ignore)
    if 'num_classes' in results:
        _check_range(values, table[values], path, results['num_classes'], ignore)
    return _look_up(labels, values, table)


def class_table(highest: int, reduce_zero_label: bool, label_map: dict | None, ignore: int) -> np.ndarray:
    """What each label of a file, 0 to at least ``highest``, becomes; see :class:`LoadAnnotations`."""
    table = np.arange(max(highest + 1, 256))
    if reduce_zero_label:
        # labels above `ignore` stay: going down, the first of them would silently become ignored
        table[1 : ignore if ignore > 0 else None] -= 1
        table[0] = ignore
    return _apply_label_map(table, label_map, ignore) if label_map else table


def is_outside(classes: np.ndarray, num_classes: int, ignore: int) -> np.ndarray:
    """Which class indices are neither one of the classes nor the ignored one."""
    return (classes != ignore) & ((classes < 0) | (classes >= num_classes))


def _look_up(labels: np.ndarray, values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """``table[labels]`` in the narrowest type that holds it; ``values`` are the labels that occur."""
    found = table[values]
    dtype = np.result_type(np.min_scalar_type(found.min()), np.min_scalar_type(found.max()))
    if (found == values).all():
        return labels.astype(dtype, copy=False)
    table = table.astype(dtype)
    if labels.dtype == table.dtype == np.uint8:
        return cv2.LUT(labels, table)  # several times faster than numpy's indexing
    return table[labels]


def _apply_label_map(table: np.ndarray, label_map: dict, ignore: int) -> np.ndarray:
    mapped = np.array([label_map.get(label, label) for label in table.tolist()])
    mapped[mapped < 0] = ignore
    return mapped


def _check_range(values: np.ndarray, classes: np.ndarray, path, num_classes: int, ignore: int) -> None:
    outside = is_outside(classes, num_classes, ignore)
    if not outside.any():
        return
    bad = values[outside].tolist()
    listed = ', '.join(map(str, bad[:MAX_LISTED]))
    if len(bad) > MAX_LISTED:
        listed += f' and {len(bad) - MAX_LISTED} more'
    raise ValueError(
        f"annotation '{path}' holds label(s) {listed}, which become none of the {num_classes} classes "
        f'(0 to {num_classes - 1}) and not the ignored label {ignore}. '
        'Where 0 in the files means "no class" and classes start at 1, set reduce_zero_label=True on the '
        f'dataset. To ignore a label, say so in its metainfo: label_map={{{bad[0]}: -1}}. For some of the '
        'classes only, give metainfo=dict(classes=...). Raw Cityscapes or COCO-Stuff annotations go through '
        'tools/dataset_converters first.'
    )
