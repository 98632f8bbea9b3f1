from .checkpoint import load_checkpoint_file, load_model_weights
from .setup import register_all_modules

__all__ = ['load_checkpoint_file', 'load_model_weights', 'register_all_modules']
