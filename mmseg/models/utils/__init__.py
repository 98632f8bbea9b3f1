from .compiling import compile_parts
from .freezing import describe_trainable, freeze_parts, stages_to_freeze
from .pretrained import PretrainedModule
from .wrappers import resize

__all__ = ['compile_parts', 'PretrainedModule', 'describe_trainable', 'freeze_parts', 'resize', 'stages_to_freeze']
