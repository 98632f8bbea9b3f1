"""Class weights that a config leaves to the data, put into the losses when training begins."""

from collections.abc import Iterable

from torch import nn
from torch.utils.data import Dataset

from mmseg.datasets.class_weights import class_weights


def fill_class_weights(modules: Iterable[nn.Module], dataset: Dataset) -> None:
    """Count for each loss whose ``class_weight`` is the name of a rule ('auto', ...), in the training set."""
    counted = {}
    for module in modules:
        rule = getattr(module, 'class_weight', None)
        if isinstance(rule, str):
            if rule not in counted:
                counted[rule] = class_weights(dataset, rule)
            module.class_weight = counted[rule]
