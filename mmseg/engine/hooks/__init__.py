from .checkpoint_hook import CheckpointHook
from .eval_progress_hook import EvalProgressHook
from .logger_hook import LoggerHook
from .unseen_classes_hook import UnseenClassesHook
from .visualization_hook import SegVisualizationHook

__all__ = ['CheckpointHook', 'EvalProgressHook', 'LoggerHook', 'SegVisualizationHook', 'UnseenClassesHook']
