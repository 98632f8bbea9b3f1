from .metadata import FORMAT, KEY, Metadata
from .writing import TARGETS, export

__all__ = ['FORMAT', 'KEY', 'TARGETS', 'Metadata', 'export']
