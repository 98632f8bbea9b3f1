from .checkpoint_hook import CheckpointHook
from .early_stopping_hook import EarlyStoppingHook
from .eval_progress_hook import EvalProgressHook
from .logger_hook import LoggerHook
from .training_report_hook import TrainingReportHook
from .unseen_classes_hook import UnseenClassesHook
from .visualization_hook import SegVisualizationHook

__all__ = [
    'CheckpointHook',
    'EarlyStoppingHook',
    'EvalProgressHook',
    'LoggerHook',
    'SegVisualizationHook',
    'TrainingReportHook',
    'UnseenClassesHook',
]
