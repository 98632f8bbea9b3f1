"""Classes and colours of a data set by its name."""

import difflib

# Names in use that are no short form of a type's.
ALIASES = {
    'ade': 'ade20k',
    'chase': 'chasedb1',
    'cocostuff164k': 'cocostuff',
    'mapillary': 'mapillaryv1',
    'pascalvoc12': 'pascalvoc',
    'pcontext': 'pascalcontext',
    'pcontext59': 'pascalcontext59',
    'vaihingen': 'isprs',
    'voc': 'pascalvoc',
    'voc12': 'pascalvoc',
    'voc12aug': 'pascalvoc',
    'vocaug': 'pascalvoc',
}


def dataset_meta(name: str) -> dict:
    """The ``METAINFO`` of a data set.

    Args:
        name: its type ('PascalVOCDataset') or in short ('voc', 'pascal_voc'), in upper or lower case.

    Raises:
        ValueError: there is none of this name that has classes of its own; the message names similar ones.
    """
    from mmseg.registry import DATASETS  # here: the registries stand above

    DATASETS.import_from_location()
    named = {_short(key): cls for key, cls in DATASETS.module_dict.items() if getattr(cls, 'METAINFO', None)}
    short = ALIASES.get(_short(name), _short(name))
    if short not in named:
        near = difflib.get_close_matches(short, [*named, *ALIASES], n=3)
        hint = f'did you mean {" or ".join(near)}?' if near else f'names are {", ".join(sorted(named))}'
        raise ValueError(f'there is no data set {name!r} with classes of its own: {hint}')
    return named[short].METAINFO


def get_classes(dataset: str) -> list[str]:
    """The class names of a data set, in the order of their indices; see :func:`dataset_meta`."""
    return list(dataset_meta(dataset)['classes'])


def get_palette(dataset: str) -> list[list[int]]:
    """[r, g, b] of each class of a data set; see :func:`dataset_meta`."""
    return [list(colour) for colour in dataset_meta(dataset)['palette']]


def _short(name: str) -> str:
    return ''.join(sign for sign in name.lower() if sign.isalnum()).replace('dataset', '')
