from .metadata import FORMAT, KEY, Metadata
from .writing import TARGETS, Export

__all__ = ['FORMAT', 'KEY', 'TARGETS', 'Export', 'Metadata']
