from .collect_env import collect_env
from .dataset_names import get_classes, get_palette
from .memory import keep_freed_memory
from .setup import register_all_modules

__all__ = ['collect_env', 'get_classes', 'get_palette', 'keep_freed_memory', 'register_all_modules']
