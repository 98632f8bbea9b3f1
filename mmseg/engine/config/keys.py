"""Keys of a config that nobody would ask for, found when the run is built: a misspelt one has no effect otherwise,
or is missed when an iteration asks for it."""

import difflib
import inspect
import re
from collections.abc import Callable, Collection, Iterator

from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch import nn
from torch.utils.data import DataLoader

from ..hooks.metric_choice import require_metrics
from ..processes.group import bare_model, init_process_group

# Keys of a config's top level that are understood whether or not the config itself states them.
OPTIONAL_KEYS = {
    *('activation_checkpointing', 'adapt_input_channels', 'auto_scale_lr', 'batch_per_gpu', 'compile'),
    *('cuda_graphs', 'custom_hooks', 'custom_imports'),
    *('data_preprocessor', 'data_root', 'default_hooks', 'default_scope', 'efficient_conv_bn_eval', 'env_cfg'),
    *('experiment_name', 'find_unused_parameters', 'ignore_mismatched_sizes', 'load_from', 'log_level'),
    *('log_processor', 'model_wrapper_cfg', 'randomness', 'resume', 'sync_bn', 'tensorboard', 'test_after_train'),
    *('tta_model', 'tta_pipeline', 'visualizer', 'work_dir'),
}
# All keys of the top level that a run reads; the others are variables of the config file, as 'test_pipeline' mostly is,
# whose name is close to that of an optional key.
RUN_KEYS = OPTIONAL_KEYS - {'tta_pipeline'} | set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}


def _parameters(function: Callable, *others: str, without: Collection[str] = ()) -> set[str]:
    return {*inspect.signature(function).parameters, *others} - {'self', *without}


LOADER_KEYS = _parameters(DataLoader, 'global_batch_size', 'num_batch_per_epoch', 'disable_subprocess_warning')
# What is handed over key by key, or looked up, without a constructor that would refuse a key.
SECTIONS = {
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'env_cfg.mp_cfg': _parameters(set_multi_processing, without=['distributed']),
    'env_cfg.dist_cfg': _parameters(init_process_group, without=['launcher']),
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'randomness': _parameters(Runner.set_randomness),
    'custom_imports': {'imports', 'allow_failed_imports'},
    'train_dataloader': LOADER_KEYS,
    'val_dataloader': LOADER_KEYS - {'global_batch_size'},
    'test_dataloader': LOADER_KEYS - {'global_batch_size'},
}
METAINFO = ('classes', 'palette', 'label_map', 'label_ids')
# Hooks that a runner of mmengine has unless a config says None.
ALWAYS_THERE = {'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'}
# Of mmengine's constructor, which takes any key.
PARAMWISE = {
    *('custom_keys', 'norm_decay_mult', 'bias_lr_mult', 'bias_decay_mult', 'dwconv_decay_mult', 'flat_decay_mult'),
    *('dcn_offset_lr_mult', 'bypass_duplicate'),
}
# Of mmsegmentation 0.x, and what says it now.
OLD = {
    'data': 'train_dataloader, val_dataloader and test_dataloader',
    'lr_config': 'param_scheduler',
    'optimizer_config': 'optim_wrapper, which has clip_grad',
    'checkpoint_config': 'default_hooks.checkpoint',
    'log_config': 'default_hooks.logger and visualizer',
    'evaluation': 'val_evaluator and train_cfg.val_interval',
}
# Patterns that mmsegmentation's configs write for networks with and without such parameters.
SOMETIMES = {'pos_block', 'absolute_pos_embed', 'relative_position_bias_table'}


def check_names(cfg: Config | dict) -> None:
    """Refuse keys of a whole config that have no meaning where they stand.

    Raises:
        KeyError: the key, with the one that is probably meant or all that there are.
    """
    for path, known in SECTIONS.items():
        section = cfg
        for key in path.split('.'):
            section = section.get(key) if isinstance(section, dict | Config) else None
        _check_keys(path, section, known)
    _check_hooks(cfg.get('default_hooks') or {})
    _check_log_processor(cfg.get('log_processor') or {})
    _check_clipping(cfg.get('optim_wrapper') or {})
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for path, value in walk(cfg.get(key), key):
            if path.endswith('.metainfo') and isinstance(value, dict):
                _check_similar(path, value)
    _check_top_level(cfg)


def check_names_in_model(runner) -> None:
    """Refuse what the config says of the model that was built, and that it does not have or heed.

    Raises:
        KeyError: a pattern of ``paramwise_cfg.custom_keys`` that is in no parameter's name, an unknown key beside
            ``custom_keys``, or a key of ``model.train_cfg``, which none of our heads reads.
        ValueError: a metric that a schedule waits for, and that no validation measures.
    """
    schedules = runner.param_schedulers if isinstance(runner.param_schedulers, list) else []
    for i, schedule in enumerate(schedules):
        if getattr(schedule, 'need_val_args', False):
            require_metrics(runner, [schedule.monitor], f'param_scheduler.{i}.monitor')
    model = bare_model(runner.model)
    heads = [part for name, part in model.named_children() if name.endswith('_head')]
    if getattr(model, 'train_cfg', None) and all(_is_ours(head) for head in heads):
        raise KeyError(f'model.train_cfg: no head of this model reads {", ".join(model.train_cfg)}: leave it out')
    wrapper = runner.cfg.get('optim_wrapper') or {}
    rules = wrapper.get('paramwise_cfg') if isinstance(wrapper, dict) else None
    if not rules or wrapper.get('constructor', 'DefaultOptimWrapperConstructor') != 'DefaultOptimWrapperConstructor':
        return  # our own constructor checks its rules itself
    _check_keys('optim_wrapper.paramwise_cfg', rules, PARAMWISE)
    settings = {'lr_mult', 'decay_mult', *runner.optim_wrapper.optimizer.defaults}
    for key, values in (rules.get('custom_keys') or {}).items():
        _check_keys(f'optim_wrapper.paramwise_cfg.custom_keys.{key}', values, settings)
    names = [f'.{name}' for name, _ in model.named_parameters()]
    for key in rules.get('custom_keys') or {}:
        if key not in SOMETIMES and not any(key in name for name in names):
            near = difflib.get_close_matches(key, {part for name in names for part in _paths(name[1:])}, n=1)
            raise KeyError(
                f'optim_wrapper.paramwise_cfg.custom_keys: no parameter of the model has {key!r} in its name'
                f'{_did_you_mean(near)}'
            )


def walk(value: object, path: str = '') -> Iterator[tuple[str, object]]:
    """All values inside of nested dicts and sequences, with their dotted keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, item in items:
        inner = f'{path}.{key}' if path else str(key)
        yield inner, item
        yield from walk(item, inner)


def _did_you_mean(near: list[str]) -> str:
    return f', did you mean {near[0]!r}?' if near else ''


def _check_keys(path: str, section: object, known: Collection[str]) -> None:
    for key in section if isinstance(section, dict) else ():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise KeyError(
                f'{path} has no {key!r}{_did_you_mean(near) or "; its keys are " + ", ".join(sorted(known))}'
            )


def _check_similar(path: str, section: dict) -> None:
    """Of keys that users may add to: refuse those that only differ in spelling from one that is read."""
    for key in section:
        near = difflib.get_close_matches(key.lower(), METAINFO, n=1, cutoff=0.75)
        if near and key not in METAINFO:
            raise KeyError(f'{path} has {key!r}, which nothing reads{_did_you_mean(near)}')


def _check_hooks(hooks: dict) -> None:
    known = ALWAYS_THERE | {'progress'}
    for name, hook in hooks.items():
        near = difflib.get_close_matches(name, known, n=1)
        if isinstance(hook, dict) and 'type' not in hook:
            raise KeyError(f'default_hooks.{name} states no type{_did_you_mean(near)}')
        alike = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if alike and name not in known and not re.search(rf'{alike[0]}(_|\d)|_{alike[0]}', name):
            raise KeyError(
                f'default_hooks.{name} replaces none of the hooks that are always there{_did_you_mean(near)}'
            )


def _check_log_processor(processor: dict) -> None:
    for i, column in enumerate(processor.get('custom_cfg') or ()):
        known = HistoryBuffer._statistics_methods or HistoryBuffer()._statistics_methods
        if (method := column.get('method_name', 'mean')) not in known:
            near = difflib.get_close_matches(method, known, n=1)
            place = f'log_processor.custom_cfg.{i}.method_name'
            raise KeyError(f'{place}={method!r} is none of {", ".join(known)}{_did_you_mean(near)}')
        window = column.get('window_size')
        if window not in (None, 'epoch', 'global') and not isinstance(window, int):
            place = f'log_processor.custom_cfg.{i}.window_size'
            raise KeyError(f"{place}={window!r} is neither a whole number nor 'epoch' or 'global'")


def _check_clipping(wrapper: dict) -> None:
    clipping = wrapper.get('clip_grad') if isinstance(wrapper, dict) else None
    if clipping:
        by_value = clipping.get('type', 'norm') == 'value'
        function = nn.utils.clip_grad_value_ if by_value else nn.utils.clip_grad_norm_
        _check_keys('optim_wrapper.clip_grad', clipping, _parameters(function, 'type', without=['parameters']))


def _check_top_level(cfg: Config | dict) -> None:
    """A variable that nothing takes up, and whose name is almost one that a run reads."""
    read = None
    for key, value in cfg.items():
        if key in OLD and isinstance(value, dict) and (key != 'data' or 'samples_per_gpu' in value):
            file = getattr(cfg, 'filename', None) or 'the config'
            raise KeyError(f'{file}: {key!r} is of mmsegmentation 0.x; write {OLD[key]} instead')
        near = difflib.get_close_matches(key, RUN_KEYS, n=1, cutoff=0.85)
        if key in RUN_KEYS or not near or re.search(rf'{near[0]}(_|\d)|_{near[0]}', key):
            continue
        if read is None:
            read = [item for _, item in walk({key: cfg.get(key) for key in RUN_KEYS if key in cfg})]
        if isinstance(value, bool) or value is None or not any(item == value for item in read):
            raise KeyError(
                f'{getattr(cfg, "filename", None) or "the config"}: nothing reads {key!r}{_did_you_mean(near)}'
            )


def _is_ours(module: nn.Module) -> bool:
    parts = module if isinstance(module, nn.ModuleList) else [module]
    return all(type(part).__module__.startswith('mmseg.') for part in parts)


def _paths(name: str) -> list[str]:
    parts = name.split('.')
    return ['.'.join(parts[: i + 1]) for i in range(len(parts))]
