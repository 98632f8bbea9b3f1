"""Which pair trains, which validates: as the data says, or else by chance that is the same each time."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from ..checks.facts import Facts
from ..formats.source import Notes
from .prepare import Pair

VAL_SHARE = 0.2
COPIES = 'copies of other images, put into the same split as these'

Known = Sequence[tuple[Pair, Facts]]


def split(pairs: Known, said: dict[str, str], notes: Notes) -> tuple[dict[str, list[Pair]], str]:
    """Every pair's split.

    Where the data names no validation set, a fifth of the training set becomes it: by a hash of the image's pixels, so
    that the choice neither depends on the order or number of other images, nor parts two copies of one image. A class
    that would be missing from training keeps one of its images there.

    Args:
        pairs: all that can be used.
        said: image -> split, by lists that the data has; before what folders say.
        notes: gets copies.

    Returns:
        'train', 'val' and, where there is one, 'test'; and how this came about, in words.

    Raises:
        ValueError: fewer than two pairs.
    """
    if len(pairs) < 2:
        raise ValueError(f'{len(pairs)} pair of image and labels is too few: one to train and one to validate at least')
    splits = defaultdict(list)
    for pair, facts in pairs:
        splits[said.get(pair.image) or pair.split or 'train'].append((pair, facts))
    unknown = sum(1 for pair, _ in pairs if not (said.get(pair.image) or pair.split))
    how = 'as lists of names say' if said else 'as folders say' if unknown < len(pairs) else ''
    if not splits['train']:
        splits['train'] = splits.pop('val', None) or splits.pop('test')
    if not splits.get('val'):
        if len(splits['train']) < 2 and splits.get('test'):
            splits['val'] = splits.pop('test')
        else:
            splits['train'], splits['val'] = _draw(splits['train'], notes)
            how = f'{how}, and ' * bool(how) + f'{VAL_SHARE:.0%} of the training images drawn for validation'
    return {name: [pair for pair, _ in splits[name]] for name in ('train', 'val', 'test') if splits.get(name)}, how


def _draw(pairs: Known, notes: Notes) -> tuple[Known, Known]:
    def key(pair: Pair, facts: Facts) -> str:
        return hashlib.blake2b(facts.image_hash or pair.image.encode(), digest_size=8).hexdigest()

    groups = defaultdict(list)
    for pair, facts in pairs:
        groups[key(pair, facts)].append((pair, facts))
    for group in groups.values():
        if len(group) > 1:
            notes.add(COPIES, ' = '.join(pair.image for pair, _ in group[:3]), len(group) - 1)
    order = sorted(groups)
    if len(order) < 2:
        raise ValueError(f'all {len(pairs)} images are copies of one: one to train and another to validate are needed')
    count = min(max(1, round(VAL_SHARE * len(order))), len(order) - 1)
    val, train = order[:count], order[count:]
    images = Counter(value for name in train for value in _values(groups[name]))
    for name in list(val):
        if len(val) > 1 and any(not images[value] for value in _values(groups[name])):
            val.remove(name)
            train.append(name)
            images.update(_values(groups[name]))
    return [pair for name in train for pair in groups[name]], [pair for name in val for pair in groups[name]]


def _values(group: Known) -> set[int]:
    return {int(value) for _, facts in group for value in facts.values}
