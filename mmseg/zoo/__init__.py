"""Published models by name: their configs, and their weights from the hub."""

from .catalogue import Backbone, Model, backbones, config_file, config_names, is_name, models, repository
from .weights import checkpoint_file, resolve, weights_file

__all__ = [
    'Backbone',
    'Model',
    'backbones',
    'checkpoint_file',
    'config_file',
    'config_names',
    'is_name',
    'models',
    'repository',
    'resolve',
    'weights_file',
]
