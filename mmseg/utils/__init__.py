from .memory import keep_freed_memory
from .setup import register_all_modules

__all__ = ['keep_freed_memory', 'register_all_modules']
