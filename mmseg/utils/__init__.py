from .collect_env import collect_env
from .memory import keep_freed_memory
from .setup import register_all_modules

__all__ = ['collect_env', 'keep_freed_memory', 'register_all_modules']
