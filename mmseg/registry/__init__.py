"""The toolbox's registries, children of mmengine's: what is not found here is looked up there.

Each names the package whose import fills it, so that ``MODELS.build(dict(type='LRHead'))`` works
without the caller importing anything else.
"""

from mmengine import registry as mmengine_registry

from .hints import hints
from .seg_registry import SegRegistry

SCOPE = 'mmseg'


def _child(name: str, location: str) -> SegRegistry:
    parent = getattr(mmengine_registry, name)

    def build(cfg, *args, **kwargs):
        with hints():
            return parent.build_func(cfg, *args, **kwargs)

    return SegRegistry(parent.name, build_func=build, parent=parent, scope=SCOPE, locations=[f'mmseg.{location}'])


RUNNERS = _child('RUNNERS', 'engine')
LOOPS = _child('LOOPS', 'engine')
HOOKS = _child('HOOKS', 'engine')
DATA_SAMPLERS = _child('DATA_SAMPLERS', 'engine')
OPTIMIZERS = _child('OPTIMIZERS', 'engine')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS', 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS', 'engine')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS', 'engine')
LOG_PROCESSORS = _child('LOG_PROCESSORS', 'engine')

DATASETS = _child('DATASETS', 'datasets')
TRANSFORMS = _child('TRANSFORMS', 'datasets')

MODELS = _child('MODELS', 'models')
MODEL_WRAPPERS = _child('MODEL_WRAPPERS', 'models')
WEIGHT_INITIALIZERS = _child('WEIGHT_INITIALIZERS', 'models')
TASK_UTILS = _child('TASK_UTILS', 'models')

METRICS = _child('METRICS', 'evaluation')
EVALUATOR = _child('EVALUATOR', 'evaluation')

VISUALIZERS = _child('VISUALIZERS', 'visualization')
VISBACKENDS = _child('VISBACKENDS', 'visualization')

INFERENCERS = _child('INFERENCERS', 'apis')
