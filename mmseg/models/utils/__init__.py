from .freezing import describe_trainable, freeze_parts, stages_to_freeze
from .wrappers import resize

__all__ = ['describe_trainable', 'freeze_parts', 'resize', 'stages_to_freeze']
