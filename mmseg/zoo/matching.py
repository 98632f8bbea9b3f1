"""Which file of a repository holds which weights, told by its name."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import NamedTuple

_SUFFIXES = ('.safetensors', '.pth', '.pt')  # the first is taken where a model comes in several forms
_VARIANT = re.compile(r'lrformer[-_ ]?(xlarge|xl|tiny|small|base|large|[tsbl])(?![a-z0-9])')
_VARIANTS = {'tiny': 't', 'small': 's', 'base': 'b', 'large': 'l', 'xlarge': 'xl'}
_DATASETS = {'ade20k': r'ade(20k|20|challenge)?', 'cocostuff164k': r'coco([-_ ]?stuff)?', 'cityscapes': 'city(scapes)?'}
_SIZE = re.compile(r'(?<!\d)(\d{3,4})x(\d{3,4})(?!\d)|(?<![\d.])(512|640|1024)(?!\d|\.\d)')


class Facts(NamedTuple):
    """What a file's or a model's name says about it; None where it says nothing."""

    variant: str | None
    plus: bool  # with Mask2Former's head
    dataset: str | None  # None: weights of a backbone
    in22k: bool
    size: int | None


def facts_of(name: str) -> Facts:
    """What a name says: ``ade20k/LRFormer-T+_512x512.pth`` or ``lrformer-t-plus-160k_ade20k-512x512``."""
    text = name.lower()
    variants = _VARIANT.findall(text)
    variant = _VARIANTS.get(variants[-1], variants[-1]) if variants else None
    size = _SIZE.search(text)
    return Facts(
        variant=variant,
        plus=re.search(r'\+|plus|mask2former|m2f', text) is not None,
        dataset=next((key for key, pattern in _DATASETS.items() if re.search(f'(?<![a-z]){pattern}', text)), None),
        in22k=re.search(r'22k|21k', text) is not None,
        size=int(size[1] or size[3]) if size else None,
    )


def matching_files(files: Iterable[str], patterns: Iterable[str], name: str, size: int | None = None) -> list[str]:
    """Of a repository's files those that may be a model's weights.

    Args:
        files: paths in the repository.
        patterns: of its path or last part; what fits them goes before what its name tells.
        name: the model's.
        size: side of its training samples, which a file's name need not state.
    """
    weights = sorted(file for file in files if file.lower().endswith(_SUFFIXES))
    found = [file for file in weights if any(_fits(file, pattern) for pattern in patterns)]
    if not found:
        wanted = facts_of(name)._replace(size=None)
        candidates = {file: facts_of(file) for file in weights}
        found = [
            file
            for file, facts in candidates.items()
            if facts._replace(size=None) == wanted and (size is None or facts.size in (None, size))
        ]
        exact = [file for file in found if candidates[file].size == size]
        found = exact or found
    by_stem: dict[str, list[str]] = {}
    for file in found:
        by_stem.setdefault(str(PurePosixPath(file).with_suffix('')), []).append(file)
    return [
        min(forms, key=lambda file: _SUFFIXES.index(PurePosixPath(file).suffix.lower())) for forms in by_stem.values()
    ]


def _fits(file: str, pattern: str) -> bool:
    file, pattern = file.lower(), pattern.lower()
    return fnmatchcase(file, pattern) or fnmatchcase(PurePosixPath(file).name, pattern)
