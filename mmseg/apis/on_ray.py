"""A model as a stage of Ray Data, for fleets: loading, scaling and retries are Ray's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmseg.inference import Segmentor, TiledSegmentor
from mmseg.inference.flow import BAD_IMAGE
from mmseg.inference.segmentor import Prepared
from mmseg.inference.sinks import FILES, Overlay
from mmseg.inference.tiles import Large

from .inference import init_model, require_weights

PATH, ERROR = 'path', 'error'


class RayStage:
    """Adds results to rows that have the ``path`` of an image; each of Ray's workers holds a model.

        files = ray.data.from_items([dict(path=path) for path in paths])
        rows = files.map_batches(
            RayStage, fn_constructor_args=('config.py', 'weights.pth'), batch_size=8, concurrency=2, num_gpus=1
        )

    A row gets a column for each kind of result, with the bytes of its file (:mod:`mmseg.inference.sinks`), and
    ``error``: '', or what was wrong with the image, whose results are then empty. Images of one input size in a batch
    go through the network together.

    Args:
        config, checkpoint, device: see :func:`init_model`; files must be where each worker sees them.
        save: kinds of results, of 'overlay', 'labels', 'scores', 'geojson', 'labelme', 'geotiff'.

    Raises:
        ValueError: a kind has another name, or the config is a file and there is no checkpoint.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str = 'cuda',
        save: Sequence[str] = ('labels',),
    ) -> None:
        if unknown := [kind for kind in save if kind not in FILES]:
            raise ValueError(f'rows can have {", ".join(FILES)}, not {unknown}')
        require_weights(config, checkpoint)
        self.sinks = [FILES[kind]() for kind in save]
        self.draws = Overlay.folder in save
        scores = any(sink.needs_scores for sink in self.sinks)
        self.segmentor = TiledSegmentor(Segmentor(init_model(config, checkpoint, device), scores))

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Columns of some rows -> the same with those of the results."""
        if PATH not in batch:
            raise ValueError(f'rows need a column {PATH!r}, the files of the images; these have {", ".join(batch)}')
        paths = [str(path) for path in batch[PATH]]
        columns = {name: np.full(len(paths), b'', object) for name in (sink.folder for sink in self.sinks)}
        errors = np.full(len(paths), '', object)
        groups: dict[tuple, list[tuple[int, Prepared | Large]]] = {}
        for i, path in enumerate(paths):
            try:
                prepared = self.segmentor.prepare(path, self.draws)
            except BAD_IMAGE as error:
                errors[i] = f'{path}: {error}'
            else:
                groups.setdefault(prepared.shape, []).append((i, prepared))
        for group in groups.values():
            numbers, images = zip(*group, strict=True)
            names = [paths[i] for i in numbers]
            try:
                results = list(self.segmentor.segment(images, names, names))
            except BAD_IMAGE as error:
                if not isinstance(images[0], Large):
                    raise
                errors[list(numbers)] = f'{names[0]}: {error}'  # only now it was decoded
                continue
            for i, result in zip(numbers, results, strict=True):
                for sink in self.sinks:
                    columns[sink.folder][i] = sink.content(result)
        return {**batch, **columns, ERROR: errors}
