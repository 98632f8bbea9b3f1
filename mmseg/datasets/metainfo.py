"""What a dataset says about its classes, checked, and brought to the classes that a config chooses of them."""

from collections.abc import Mapping, Sequence

MAX_LABEL = 2**16 - 1  # that a PNG holds


def compose_label_maps(
    to_full: Mapping[int, int] | None, to_chosen: Mapping[int, int] | None, num_classes: int, ignore_index: int
) -> dict[int, int] | None:
    """From values in the files, through the dataset's full class list, to the chosen classes.

    Args:
        to_full: value in the files -> index in the full class list, negative for ignored; None changes nothing.
        to_chosen: index there -> index among the chosen classes, or ``ignore_index``; None changes nothing.
        num_classes: of the full list.
        ignore_index: the ignored label.

    Raises:
        ValueError: ``to_full`` leads to no class.
    """
    if not to_full:
        return to_chosen
    mapped = dict(to_chosen or {})
    for value, index in to_full.items():
        if not isinstance(value, int) or not isinstance(index, int) or index >= num_classes:
            raise ValueError(
                f'metainfo.label_map: {value!r} -> {index!r} does not lead from a label value to the '
                f'index of one of {num_classes} classes (or to -1, ignored)'
            )
        mapped[value] = ignore_index if index < 0 else (to_chosen or {}).get(index, index)
    return mapped


def checked_palette(palette: Sequence, key: str = 'palette') -> list[list[int]]:
    """The palette as lists of integers.

    Args:
        palette: the colours.
        key: its name in ``metainfo``. Colours of a ``label_palette`` must differ, as labels are told by them.

    Raises:
        ValueError: an entry is no colour [r, g, b].
    """
    for colour in palette:
        if isinstance(colour, str) or len(colour) != 3 or not all(0 <= value <= 255 for value in colour):
            raise ValueError(f'metainfo.{key}: {colour!r} is not a colour [r, g, b] with values from 0 to 255')
    palette = [[int(value) for value in colour] for colour in palette]
    repeated = [colour for colour in palette if key == 'label_palette' and palette.count(colour) > 1]
    if repeated:
        raise ValueError(f'metainfo.label_palette has {repeated[0]} more than once: two labels of one colour')
    return palette


def checked_label_ids(ids: Sequence[int]) -> Sequence[int]:
    """The labels for prediction files.

    Raises:
        ValueError: one is no label.
    """
    if not all(isinstance(label, int) and 0 <= label <= MAX_LABEL for label in ids):
        raise ValueError(f'metainfo.label_ids={ids!r} must be labels from 0 to {MAX_LABEL}')
    return ids


def values_of_chosen(
    key: str, values: Sequence, chosen: Sequence[str], full_classes: Sequence[str] | None, given: bool
) -> list:
    """One value of each chosen class.

    Args:
        key: what the values are, for messages.
        values: one for each class, of the full list or of the chosen ones.
        chosen: names of the chosen classes.
        full_classes: all that the dataset has; None where it has none of its own.
        given: whether the config gives ``values``, for the chosen classes, and not the dataset.

    Raises:
        ValueError: there are more or fewer values than classes.
    """
    named = chosen if given or full_classes is None else full_classes
    if len(values) != len(named):
        what = 'colours' if key == 'palette' else 'labels'
        raise ValueError(f'metainfo.{key} has {len(values)} {what} for {len(named)} classes')
    value_of = dict(zip(named, values, strict=True))
    return [value_of[name] for name in chosen]


def distinct_palette(count: int) -> list[list[int]]:
    """The first ``count`` colours [r, g, b] of the Pascal VOC colour map after black, all different.

    The bits of the colour's number go to red, green and blue in turn, from the highest bit of each down.
    """
    palette = []
    for number in range(1, count + 1):
        colour = [0, 0, 0]
        for bit in range(number.bit_length()):
            colour[bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
        palette.append(colour)
    return palette
