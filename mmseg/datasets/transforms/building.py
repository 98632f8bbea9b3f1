"""From the steps of a config to transforms."""

from collections.abc import Callable, Iterable

from mmseg.registry import TRANSFORMS


def build_steps(steps: Iterable[dict | Callable]) -> list[Callable]:
    """The transforms that configs describe, beside those that are built already.

    Built here, and not by mmengine's ``Compose``: without a default scope, that would take mmcv's ``LoadAnnotations``.
    """
    return [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in steps]
