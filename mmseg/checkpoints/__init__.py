"""Checkpoints: reading them safely, loading weights strictly, writing them whole, finding the newest."""

from .finding import find_resumable
from .loading import load_model_weights
from .message_hub import load_message_hub_state, message_hub_state
from .reading import check_checkpoint_file, dataset_meta_of, load_checkpoint_file
from .remote import local_copy
from .writing import save_checkpoint_file, to_plain, write_checkpoint

__all__ = [
    'check_checkpoint_file',
    'dataset_meta_of',
    'find_resumable',
    'load_checkpoint_file',
    'load_message_hub_state',
    'load_model_weights',
    'local_copy',
    'message_hub_state',
    'save_checkpoint_file',
    'to_plain',
    'write_checkpoint',
]
