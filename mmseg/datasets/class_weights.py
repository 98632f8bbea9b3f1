"""Weights for classes by how frequent they are in a dataset."""

import math
import statistics
from collections import Counter

from mmengine.logging import print_log
from torch.utils.data import Dataset

RULES = ('inverse_sqrt', 'median_frequency')


def class_weights(dataset: Dataset, rule: str = 'inverse_sqrt') -> list[float]:
    """One weight a class, such that the mean over the dataset's labelled pixels is 1; logged.

    Args:
        dataset: says by ``class_pixels()`` how many pixels of which class its images have, and names its classes.
        rule: 'inverse_sqrt', or 'auto', is f^-1/2 with a class's share f of all pixels. 'median_frequency' is
            median / f with a class's share f of the pixels of those images that have it (Eigen and Fergus, arXiv
            1411.4734), and the median of these shares. A class without a pixel has weight 1.

    Raises:
        ValueError: the rule is another, or the dataset cannot say.
    """
    rule = RULES[0] if rule == 'auto' else rule
    if rule not in RULES:
        raise ValueError(f"class weights are counted by 'auto' or {' or '.join(map(repr, RULES))}, not {rule!r}")
    names = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if not hasattr(dataset, 'class_pixels') or not names:
        raise ValueError(f'{type(dataset).__name__} does not say how many pixels its classes have: no class_pixels()')
    pixels, beside = Counter(), Counter()  # of the class; of all classes in images that have it
    for image in (images := dataset.class_pixels()):
        pixels.update(image)
        beside.update(dict.fromkeys(image, sum(image.values())))
    total = sum(pixels.values())
    if not total:
        raise ValueError(f'{type(dataset).__name__} has no labelled pixel to count class weights by')
    if rule == 'inverse_sqrt':
        weights = {name: math.sqrt(total / count) for name, count in pixels.items()}
    else:
        share = {name: count / beside[name] for name, count in pixels.items()}
        median = statistics.median(share.values())
        weights = {name: median / one for name, one in share.items()}
    mean = sum(weight * pixels[name] for name, weight in weights.items()) / total
    found = [round(weights[index] / mean, 4) if index in weights else 1.0 for index in range(len(names))]
    table = ', '.join(
        f'{name} {weight:g} ({100 * pixels[index] / total:.2g} %)'
        for index, (name, weight) in enumerate(zip(names, found, strict=True))
    )
    print_log(f'class weights by {rule}, of the pixels of {len(images)} images: {table}', logger='current')
    return found
