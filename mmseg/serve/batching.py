"""Many requests, one network: images that wait at the same time share a batch.

While the network works on a batch the next one gathers, so no request waits for others to come.
"""

import queue
import threading
import time
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from mmseg.inference import Segmentor
from mmseg.inference.segmentor import Prepared
from mmseg.models.segmentors.scores import CHUNK, ImageScores, MeanScores


class Busy(RuntimeError):
    """As many images wait as may."""


class Answer(NamedTuple):
    """What the network said of one image.

    Attributes:
        labels: H x W, the class of each pixel.
        probability: H x W, uint8: of that class, times 255.
        waited, network: seconds in the queue, and in the network with the batch that it was in.
        batch: images in that batch.
    """

    labels: np.ndarray
    probability: np.ndarray
    waited: float
    network: float
    batch: int


@dataclass(eq=False)
class _Job:
    prepared: Prepared
    answer: Future
    since: float


class Batcher:
    """A thread that feeds a segmentor from a queue of bounded length.

    Args:
        segmentor: whose model has ``image_scores``.
        batch_size: images of one input size that go through the network together, at most.
        waiting: images that may wait.

    Raises:
        ValueError: the model has no ``image_scores``.
    """

    def __init__(self, segmentor: Segmentor, batch_size: int = 4, waiting: int = 16) -> None:
        if not segmentor.has_coarse_scores:
            raise ValueError(f'{type(segmentor.model).__name__} has no image_scores, so it cannot be served')
        self.segmentor, self.batch_size = segmentor, batch_size
        self._jobs: queue.Queue[_Job | None] = queue.Queue(maxsize=waiting)
        self._put_aside: list[_Job] = []  # of another input size than the last batch
        self._thread = threading.Thread(target=self._work, name='network', daemon=True)
        self._thread.start()

    def submit(self, prepared: Prepared) -> Future:
        """Queue an image; its future gives an :class:`Answer`. Cancel it where nobody waits any more.

        Raises:
            Busy: the queue is full.
        """
        job = _Job(prepared, Future(), time.monotonic())
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise Busy(f'{self._jobs.maxsize} images wait already') from None
        return job.answer

    def __len__(self) -> int:
        """Images that wait."""
        return self._jobs.qsize() + len(self._put_aside)

    def close(self) -> None:
        """Finish what was begun, and end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            batch = [job for job in batch if job.answer.set_running_or_notify_cancel()]
            if not batch:
                continue
            try:
                answers = self._segment(batch)
            except Exception as error:  # the network's, of whatever kind: it belongs to those who asked
                for job in batch:
                    _resolve(job.answer, error)
            else:
                for job, answer in zip(batch, answers, strict=True):
                    _resolve(job.answer, answer)

    def _next_batch(self) -> list[_Job] | None:
        """The longest waiting image, and those of its size that wait with it; None at the end."""
        if not self._put_aside:
            job = self._jobs.get()
            if job is None:
                return None
            self._put_aside.append(job)
        while len(self._put_aside) < 2 * self.batch_size:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)  # once more, when these are done
                break
            self._put_aside.append(job)
        shape = self._put_aside[0].prepared.shape
        batch = [job for job in self._put_aside if job.prepared.shape == shape][: self.batch_size]
        self._put_aside = [job for job in self._put_aside if job not in batch]
        return batch

    def _segment(self, batch: list[_Job]) -> list[Answer]:
        start = time.monotonic()
        scores = self.segmentor.scores_of([job.prepared.item for job in batch])
        maps = [labels_and_probability(one) for one in scores]
        seconds = time.monotonic() - start
        dtype = self.segmentor.classes.dtype
        return [
            Answer(labels.astype(dtype), probability, start - job.since, seconds, len(batch))
            for job, (labels, probability) in zip(batch, maps, strict=True)
        ]


@torch.no_grad()
def labels_and_probability(scores: ImageScores | MeanScores) -> tuple[np.ndarray, np.ndarray]:
    """The class of each pixel and its probability times 255, each H x W, from all classes of a few rows at a time."""
    height, step = scores.image_size[0], scores.rows_at_a_time(CHUNK)
    labels, certain = [], []
    for top in range(0, height, step):
        strip = scores.at_image_rows(top, min(top + step, height))
        handed_out, chosen = scores.decide(strip)
        probability = handed_out if isinstance(scores, MeanScores) else scores.probabilities(strip)
        if len(probability) == 1:  # of class 1
            probability = torch.cat([1 - probability, probability])
        labels.append(chosen)
        certain.append(probability.gather(0, chosen[None])[0].clamp(0, 1).mul(255).round().byte())
    return torch.cat(labels).cpu().numpy(), torch.cat(certain).cpu().numpy()


def _resolve(answer: Future, outcome: Answer | Exception) -> None:
    try:
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)
    except InvalidStateError:  # cancelled meanwhile
        pass
