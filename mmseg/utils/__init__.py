from .checkpoint import check_checkpoint_file, dataset_meta_of, load_checkpoint_file, load_model_weights
from .setup import register_all_modules

__all__ = [
    'check_checkpoint_file',
    'dataset_meta_of',
    'load_checkpoint_file',
    'load_model_weights',
    'register_all_modules',
]
