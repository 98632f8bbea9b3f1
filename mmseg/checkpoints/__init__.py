"""Checkpoints: reading them safely, loading weights strictly, writing them whole, finding the newest."""

from .dataset_meta import complete_dataset_meta, dataset_meta_of
from .file_kinds import check_checkpoint_file
from .finding import find_resumable
from .hub import hub_file, hub_files, hub_folder
from .loading import load_model_weights, load_pretrained
from .message_hub import load_message_hub_state, message_hub_state
from .naming import without_wrappers
from .reading import choose_weights, load_checkpoint_file
from .remote import is_remote, local_file
from .writing import save_checkpoint_file, to_plain, write_checkpoint

__all__ = [
    'check_checkpoint_file',
    'choose_weights',
    'complete_dataset_meta',
    'dataset_meta_of',
    'find_resumable',
    'hub_file',
    'hub_files',
    'hub_folder',
    'is_remote',
    'load_checkpoint_file',
    'load_message_hub_state',
    'load_model_weights',
    'load_pretrained',
    'local_file',
    'message_hub_state',
    'save_checkpoint_file',
    'to_plain',
    'without_wrappers',
    'write_checkpoint',
]
