"""Source -> segmentor -> results, with loading, network and writing at the same time in threads of one process."""

import itertools
import queue
import re
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cv2

from .folder import ResultFolder
from .result import Result
from .segmentor import Prepared, Segmentor
from .sources import Entry, describe_source, frames
from .tiles import TiledSegmentor

# What one bad image may raise; anything else ends the run.
BAD_IMAGE = (OSError, ValueError, TypeError, MemoryError, cv2.error)
BAD_FOR_NETWORK = (OSError, ValueError, MemoryError, cv2.error, RuntimeError)
LACK_OF_MEMORY = re.compile(r'out of memory|allocate', re.IGNORECASE)


@dataclass
class Job:
    """An image on its way, or a frame of a video.

    Attributes:
        entry: the image or video that it is (of).
        name: of its results.
        image: a file's name, or the image.
        prepared: the image for the network, in the making.
        shape: of the network's input, for an image that is done already.
        frame: its number in a video; None for an image.
        frames: at the end of a video: how many there were.
        error: what prevents it.
    """

    entry: Entry
    name: str
    image: Any = None
    prepared: Future | None = None
    shape: tuple | None = None
    frame: int | None = None
    frames: int | None = None
    error: Exception | None = None


class Flow:
    """Segments entries and hands on results, in bounded memory.

    Iterating over it gives a record for each image that is done (``name``, and ``error`` if it failed).

    Args:
        entries: of a source.
        segmentor: takes images and gives labels.
        folder: where results go.
        batch_size: images of one input size that go through the network together. They are put together in the order
            of entries, whether or not some are done already, so that a resumed run computes the same.
        workers: threads that load, and as many that write.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        segmentor: Segmentor | TiledSegmentor,
        folder: ResultFolder,
        batch_size: int,
        workers: int,
    ) -> None:
        self.entries, self.segmentor, self.folder = entries, segmentor, folder
        self.batch_size, self.workers = batch_size, workers
        self.skipped = 0  # images and videos that were done before
        self._stop, self._gone = threading.Event(), threading.Event()
        self._jobs: queue.Queue = queue.Queue(maxsize=2 * workers + batch_size)
        self._written: deque[Future] = deque()

    def stop(self) -> None:
        """End after the images that are on their way, as if there were no more."""
        self._stop.set()

    def __iter__(self) -> Generator[dict, None, None]:
        loading = ThreadPoolExecutor(self.workers, thread_name_prefix='load')
        writing = ThreadPoolExecutor(self.workers, thread_name_prefix='write')
        in_order = ThreadPoolExecutor(1, thread_name_prefix='video')
        threading.Thread(target=self._feed, args=(loading,), daemon=True).start()
        try:
            for group in self._groups():
                for job, outcome in self._segment(group):
                    written = writing.submit(self._write, job, outcome)
                    if job.entry.is_video:
                        written = in_order.submit(self._write_video, job, outcome, written)
                    self._written.append(written)
                yield from self._finished(wait_above=2 * self.workers + self.batch_size)
            yield from self._finished(wait_above=0)
        finally:
            self._gone.set()
            loading.shutdown(wait=False, cancel_futures=True)
            writing.shutdown(wait=True, cancel_futures=True)
            in_order.shutdown(wait=True, cancel_futures=True)
            for future in self._written:  # what was written until the end is done, too
                if not future.cancelled() and future.exception() is None:
                    with suppress(OSError):  # of a full disk, which has been reported
                        self.folder.note(future.result())

    # ---- loading

    def _feed(self, loading: ThreadPoolExecutor) -> None:
        try:
            for entry in self.entries:
                for job in self._video(entry) if entry.is_video else [self._image(entry)]:
                    if job.frames is None and job.shape is None and job.error is None:
                        job.prepared = loading.submit(self.segmentor.prepare, job.image, self.folder.draws)
                    if not self._put(job):
                        return
                if self._stop.is_set():
                    break
            self._put(None)
        except BaseException as error:  # the main thread raises it
            self._put(error)

    def _put(self, job: Job | BaseException | None) -> bool:
        """Hand a job to the main thread; False when that has left."""
        while not self._gone.is_set():
            with suppress(queue.Full):
                self._jobs.put(job, timeout=0.2)
                return True
        return False

    def _image(self, entry: Entry) -> Job:
        job = Job(entry, entry.name, entry.source)
        if self.folder.is_done(entry):
            self.skipped += 1
            job.shape = tuple(self.folder.done[entry.name][1])
        return job

    def _video(self, entry: Entry) -> Iterator[Job]:
        if self.folder.is_done(entry):
            self.skipped += 1
            return
        number = 0
        try:
            for frame in frames(entry.source):
                yield Job(entry, f'{entry.name}/{number:06d}', frame, frame=number)
                number += 1
                if self._stop.is_set():
                    break
        except BAD_IMAGE as error:
            yield Job(entry, entry.name, error=error)
        else:
            yield Job(entry, entry.name, frames=number)

    # ---- network

    def _groups(self) -> Iterator[list[Job]]:
        """Jobs of one input size, ``batch_size`` at most; a job that needs no network comes alone."""
        waiting: dict[tuple, list[Job]] = {}
        while True:
            job = self._jobs.get()
            if isinstance(job, BaseException):
                raise job
            if job is not None and job.prepared is not None:
                try:
                    job.shape = job.prepared.result().shape
                except BAD_IMAGE as error:
                    job.error = error
            if job is None or job.frames is not None or (job.error is not None and job.entry.is_video):
                yield from waiting.values()  # the last frames of a video come before its end
                waiting = {}
            if job is None:
                return
            if job.shape is None or job.error is not None:
                yield [job]
                continue
            waiting.setdefault(job.shape, []).append(job)
            if len(waiting[job.shape]) == self.batch_size:
                yield waiting.pop(job.shape)
            elif sum(map(len, waiting.values())) >= 4 * self.batch_size:
                yield waiting.pop(next(iter(waiting)))

    def _segment(self, group: list[Job]) -> Iterator[tuple[Job, Result | Exception | None]]:
        """Each job that is not done with its result, or with what went wrong."""
        if group[0].error is not None or group[0].shape is None:
            yield group[0], group[0].error
            return
        if all(job.prepared is None for job in group):
            return  # done before
        try:
            batch = [self._prepared(job) for job in group]
            results = list(
                self.segmentor.segment(batch, [job.name for job in group], [job.entry.file for job in group])
            )
        except BAD_FOR_NETWORK as error:
            if type(error) is RuntimeError and not LACK_OF_MEMORY.search(str(error)):
                raise
            if len(group) == 1:
                yield group[0], error
                return
        else:
            yield from ((j, r) for j, r in zip(group, results, strict=True) if j.prepared is not None)
            return
        for job in group:  # one of them is to blame
            yield from self._segment([job])

    def _prepared(self, job: Job) -> Prepared:
        return (
            job.prepared.result() if job.prepared is not None else self.segmentor.prepare(job.image, self.folder.draws)
        )

    # ---- writing

    def _write(self, job: Job, outcome: Result | Exception | None) -> dict:
        stamp = job.entry.stamp if job.frame is None else None
        if isinstance(outcome, Exception):
            reason = (str(outcome).splitlines() or [type(outcome).__name__])[0]
            return dict(name=job.name, stamp=stamp, error=f'{describe_source(job.entry.source)}: {reason}')
        if outcome is None:
            return {}  # the end of a video
        if job.entry.is_video and self.folder.draws:
            job.image = outcome.drawn(self.folder.opacity)
        return self.folder.write(outcome, job.shape, stamp, skip_overlay=job.entry.is_video)

    def _write_video(self, job: Job, outcome: Result | Exception | None, written: Future) -> dict:
        """Frames are drawn by several threads, but come into the video in order."""
        record = written.result()
        if isinstance(outcome, Result) and self.folder.draws:
            self.folder.write_frame(job.image, job.entry)
        return record if outcome is not None else self.folder.finish_video(job.entry, job.frames)

    def _finished(self, wait_above: int) -> Iterator[dict]:
        while self._written and (len(self._written) > wait_above or self._written[0].done()):
            record = self._written[0].result()
            self._written.popleft()
            self.folder.note(record)
            yield record


def share(entries: Iterable[Entry], rank: int, world_size: int) -> Iterator[Entry]:
    """The part of all entries that one of several processes takes."""
    return itertools.islice(entries, rank, None, world_size)
