"""The folder that results go to, and the journal of what is done in it.

    OUT/overlay/NAME.jpg, OUT/labels/NAME.png, ...   one file for each image and kind
    OUT/areas.csv, OUT/coco.json                     one file for all, written at the end
    OUT/.predict/settings.json, journal-RUN-RANK     what was asked for, and a line for each image that is done

A file appears when it is whole, and a line after the image's files. So a run that was killed at any moment can be
resumed, by any number of processes: the files at the end are those of a run that was not disturbed.
"""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from mmseg.utils.atomic_file import atomic_write, remove_unfinished

from .result import Classes, Result
from .sinks import FILES, Overlay, Sink, coco_annotations, coco_categories, coco_polygons
from .sources import Entry, frame_rate

STATE = '.predict'
CSV, COCO, COCO_POLYGONS = 'csv', 'coco', 'coco-polygons'
KINDS = (*FILES, CSV, COCO, COCO_POLYGONS)
TABLES = {CSV: 'areas.csv', COCO: 'coco.json', COCO_POLYGONS: 'coco-polygons.json'}


class ResultFolder:
    """Writes results, and knows which are there.

    Args:
        path: the folder.
        kinds: what to write, of ``KINDS``.
        settings: all that the results depend on, plain data; a folder of other settings is not gone on with.
        opacity: of colours in overlays.
        rank: this process's number.

    Raises:
        ValueError: a kind has another name.
    """

    def __init__(self, path: str, kinds: Sequence[str], settings: dict, opacity: float = 0.5, rank: int = 0) -> None:
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown or not kinds:
            raise ValueError(f'results can be saved as {", ".join(KINDS)}, not {unknown}')
        self.path, self.kinds, self.settings, self.rank = Path(path), list(kinds), settings, rank
        self.opacity = opacity
        self.sinks: list[Sink] = [
            FILES[kind](opacity) if kind == Overlay.folder else FILES[kind]() for kind in kinds if kind in FILES
        ]
        self.state = self.path / STATE
        self.done: dict[str, tuple[int, list | None]] = {}  # name -> hash of the stamp, shape of the network's input
        self._journal: io.TextIOBase | None = None
        self._video: tuple[Path, cv2.VideoWriter] | None = None

    @property
    def skip(self) -> list[str]:
        """Folders whose pictures are results, and no inputs."""
        return [str(self.path / folder) for folder in (*FILES, STATE)]

    @property
    def needs_scores(self) -> bool:
        return any(sink.needs_scores for sink in self.sinks)

    @property
    def draws(self) -> bool:
        return Overlay.folder in self.kinds

    # ---- before and after

    def prepare(self, resume: bool) -> None:
        """Make the folder ready, by the first process only.

        Raises:
            FileExistsError: it holds files under the names of results that are none of ours.
            ValueError: ``resume``, but what is there was made with other settings.
        """
        settings = self.state / 'settings.json'
        for place in () if self.state.is_dir() else (self.path / name for name in (*FILES, *TABLES.values())):
            if place.is_file() or (place.is_dir() and any(place.iterdir())):
                what = 'is a file' if place.is_file() else 'holds files'
                raise FileExistsError(f'{place} {what} that predict did not write; give another folder')
        if resume and settings.is_file():
            before = json.loads(settings.read_text())
            changed = [key for key in {*before, *self.settings} if before.get(key) != self.settings.get(key)]
            if changed:
                shown = '; '.join(f'{k} {before.get(k)!r}, now {self.settings.get(k)!r}' for k in sorted(changed))
                raise ValueError(
                    f'{self.path} holds results of other settings ({shown}): give another folder, or start '
                    'anew without --resume'
                )
        elif self.state.is_dir():
            shutil.rmtree(self.state)
        self.state.mkdir(parents=True, exist_ok=True)
        for folder in [*(place for kind in FILES for place, _, _ in os.walk(self.path / kind)), self.path, self.state]:
            remove_unfinished(str(folder))
        for video in self.state.glob('video-*'):
            video.unlink()
        _write(settings, json.dumps(self.settings, indent=1).encode())
        self._journal_of(self._last_run() + 1, rank=0).touch()

    def open(self, resume: bool) -> None:
        """Read what is done, and begin to note what this process does; after :meth:`prepare` of the first."""
        for _, _, record in self._records() if resume else ():
            self.done.pop(record['name'], None)
            if 'error' not in record and record['stamp'] is not None:
                self.done[record['name']] = hash(tuple(record['stamp'])), record.get('shape')
        self._journal = open(self._journal_of(self._last_run(), self.rank), 'a', encoding='utf-8')  # noqa: SIM115

    def is_done(self, entry: Entry) -> bool:
        """Whether the results of an entry are all there, and its file is still the one that they were made of."""
        stamp, done = entry.stamp, self.done.get(entry.name)
        if stamp is None or done is None or done[0] != hash(tuple(stamp)):
            return False
        files = self._files(entry.name)
        if entry.is_video:
            files = [self._video_file(entry)] if self.draws else []
        return all(map(os.path.exists, files))

    def close(self) -> None:
        if self._video is not None:
            self._video[1].release()
            self._video = None
        if self._journal is not None:
            self._journal.close()

    def merge(self, classes: Classes) -> None:
        """Write the files that are one for all images, by the first process when all are done."""
        places = self._places()
        if CSV in self.kinds:
            self._write_csv(places, classes.names)
        for kind in (COCO, COCO_POLYGONS):
            if kind in self.kinds:
                self._write_coco(kind, places, classes)

    # ---- results

    def write(self, result: Result, shape: Sequence[int], stamp: list | None, skip_overlay: bool) -> dict:
        """Write the files of one result, and return what to note of it; any thread may."""
        for sink, path in zip(self.sinks, self._files(result.name), strict=True):
            if not (skip_overlay and isinstance(sink, Overlay)):
                _write(Path(path), sink.content(result))
        size, areas = list(result.labels.shape), result.counts()
        record = dict(name=result.name, stamp=stamp, shape=list(shape), size=size, areas=areas)
        for kind, annotate in ((COCO, coco_annotations), (COCO_POLYGONS, coco_polygons)):
            if kind in self.kinds:
                record[kind] = annotate(result)
        return record

    def note(self, record: dict) -> None:
        """Put a line into the journal: the image is done, or failed (``error``)."""
        self._journal.write(json.dumps(record, ensure_ascii=True, separators=(',', ':')) + '\n')
        self._journal.flush()

    def write_frame(self, picture: np.ndarray, video: Entry) -> None:
        """The next frame of a video with overlays; one thread at a time, and one video after the other."""
        height, width = picture.shape[:2]  # of which videos need even numbers
        picture = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        if self._video is None:
            path = self.state / f'video-{self.rank}-{os.getpid()}.mp4'
            size = picture.shape[1::-1]
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), frame_rate(video.source), size)
            if not writer.isOpened():
                raise OSError(f'{path}: OpenCV cannot write this video (mp4v, {size[0]} x {size[1]})')
            self._video = path, writer
        self._video[1].write(picture)

    def finish_video(self, video: Entry, count: int) -> dict:
        """Let the video appear, when its last frame is written, and return what to note of it."""
        if self._video is not None:
            path, writer = self._video
            writer.release()
            self._video = None
            target = self._video_file(video)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
        return dict(name=video.name, stamp=video.stamp, frames=count)

    def _files(self, name: str) -> list[str]:
        return [str(self.path / sink.folder / f'{name}{sink.suffix}') for sink in self.sinks]

    def _video_file(self, video: Entry) -> Path:
        return self.path / Overlay.folder / f'{video.name}.mp4'

    # ---- the journals of all processes

    def _journal_of(self, run: int, rank: int) -> Path:
        return self.state / f'journal-{run:06d}-{rank:04d}.jsonl'

    def _last_run(self) -> int:
        return max((int(path.name.split('-')[1]) for path in self.state.glob('journal-*')), default=0)

    def _records(self) -> Iterator[tuple[str, int, dict]]:
        """File, place and content of each whole line, those of later runs later."""
        for path in sorted(map(str, self.state.glob('journal-*'))):
            with open(path, 'rb') as file:
                while (line := file.readline()).endswith(b'\n'):
                    yield path, file.tell() - len(line), json.loads(line)

    def _places(self) -> dict[str, tuple[str, int]]:
        """Where each image was noted last, by name: places are in memory, records are read one by one."""
        places = {}
        for path, place, record in self._records():
            if 'areas' in record:
                places[record['name']] = path, place
            elif 'error' in record:
                places.pop(record['name'], None)
        return dict(sorted(places.items()))

    @staticmethod
    def _read(places: dict[str, tuple[str, int]]) -> Iterator[dict]:
        with ExitStack() as stack:
            files = {path: stack.enter_context(open(path, 'rb')) for path in {path for path, _ in places.values()}}
            for path, place in places.values():
                files[path].seek(place)
                yield json.loads(files[path].readline())

    def _write_csv(self, places: dict, names: Sequence[str]) -> None:
        with atomic_write(str(self.path / TABLES[CSV])) as file:
            text = io.TextIOWrapper(file, encoding='utf-8', newline='')
            table = csv.writer(text)
            table.writerow(['image', 'class', 'pixels', 'share'])
            for record in self._read(places):
                height, width = record['size']
                for label, pixels in record['areas']:
                    table.writerow([record['name'], names[label], pixels, f'{pixels / (height * width):.6f}'])
            text.flush()
            text.detach()

    def _write_coco(self, kind: str, places: dict, classes: Classes) -> None:
        images = (
            dict(id=i, file_name=_file_name(record), height=record['size'][0], width=record['size'][1])
            for i, record in enumerate(self._read(places), 1)
        )
        found = ((i, one) for i, record in enumerate(self._read(places), 1) for one in record[kind])
        annotations = (dict(id=number, image_id=i, **one) for number, (i, one) in enumerate(found, 1))
        with atomic_write(str(self.path / TABLES[kind])) as file:
            parts = dict(categories=coco_categories(classes), images=images, annotations=annotations)
            for before, (name, items) in zip('{,,', parts.items(), strict=True):
                file.write(f'{before}"{name}":['.encode())
                for i, item in enumerate(items):
                    file.write((',\n' if i else '\n').encode() + json.dumps(item, separators=(',', ':')).encode())
                file.write(b']')
            file.write(b'}\n')


def _file_name(record: dict) -> str:
    """The image's name with its own suffix."""
    return record['name'] + (os.path.splitext(record['stamp'][0])[1] if record['stamp'] else '')


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(str(path)) as file:
        file.write(content)
