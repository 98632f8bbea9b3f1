"""Options of the command line put into a config, so that they hold wherever the config uses the value.

A config file is a program: ``crop_size`` at its top goes into pipelines and models while it runs, and changing it
afterwards would change nothing. So the file, and those that it inherits from, are run again with their assignments
replaced: an option has the effect of writing it into the file.
"""

import ast
import copy
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path

from mmengine.config import Config

from .data_root import hand_down_data_root
from .keys import RUN_KEYS, walk
from .option_text import read_option_value

PUT, PLAIN = '__put_options', '__without_options'  # what a config file that is run again calls them
SHOWN = 5

# For the config files that are run again: the options, and the values before they were put in.
_options: ContextVar[list] = ContextVar('options')
_plain: ContextVar[dict] = ContextVar('plain')


def read_options(texts: Sequence[str], cfg: Config) -> dict:
    """KEY=VALUE texts of a command line -> values by dotted key; see :func:`read_option_value`.

    Raises:
        ValueError: a text without '=', or a value that cannot be meant.
    """
    options = {}
    for text in texts:
        key, found, value = text.partition('=')
        if not found or '' in key.split('.'):
            raise ValueError(f'--cfg-options {text}: write KEY=VALUE, in quotes where VALUE has blanks')
        try:
            options[key] = read_option_value(value, _look_up(cfg, key.split('.')))
        except ValueError as error:
            raise ValueError(f'--cfg-options {key}: {error}') from None
    return options


def with_options(cfg: Config, options: dict) -> Config:
    """The config of a file as it is with these values by dotted key written into the file.

    Raises:
        KeyError, TypeError: there is no such place.
        ValueError: nothing in a run depends on a value; the message names the keys to set in its place.
    """
    if not options:
        return cfg
    changed = _run_again(cfg, options)
    for key, value in options.items():
        if key.split('.')[0] in RUN_KEYS - {'data_root', 'data_preprocessor'}:
            continue
        alone = _run_again(cfg, {key: value})
        others = _run_again(cfg, {name: option for name, option in options.items() if name != key})
        if not _has_effect(key, others, changed) and not _has_effect(key, cfg, alone):
            raise ValueError(_refusal(key, value, cfg))
    return changed


def put(value: object, keys: Sequence[str], new: object) -> object:
    """A copy of nested dicts, lists and tuples with ``new`` at these keys.

    A dict is merged into a dict, or with ``_delete_=True`` in it replaces it, as in config files.

    Raises:
        KeyError: a list or tuple has no such position.
        TypeError: what has keys inside it is no dict, list or tuple.
    """
    if not keys:
        new = copy.deepcopy(new)
        if isinstance(new, dict) and not new.pop('_delete_', False) and isinstance(value, dict):
            return Config._merge_a_into_b(new, copy.deepcopy(value))
        return new
    key, rest = keys[0], keys[1:]
    if isinstance(value, dict):
        value = value.copy()
        if _is_position(key) and any(isinstance(held, int) for held in value):
            key = int(key)  # of a dict like {255: 1}
        if rest and key not in value and _is_position(rest[0]):
            raise KeyError(f'there is no list {key!r} that could have a position {rest[0]}; state the whole of it')
        value[key] = put(value.get(key, {} if rest else None), rest, new)
        return value
    if isinstance(value, (list, tuple)):
        if not _is_position(key) or not -len(value) <= int(key) < len(value):
            raise KeyError(f'{key!r} is no position in a {type(value).__name__} of {len(value)}')
        items = list(value)
        items[int(key)] = put(items[int(key)], rest, new)
        return type(value)(items)
    raise TypeError(f'{value!r} has no {key!r} in it')


def _is_position(key: str) -> bool:
    return key.lstrip('-').isdigit()


def _run_again(cfg: Config, options: dict) -> Config:
    """The config of the same file with the options in it."""
    pairs = [(key.split('.'), value) for key, value in options.items()]
    if str(cfg.filename).endswith('.py') and not Config._is_lazy_import(cfg.filename):
        tokens = _options.set(pairs), _plain.set({})
        try:
            with tempfile.TemporaryDirectory() as folder:
                copied = _rewrite(Path(cfg.filename).absolute(), folder, {keys[0] for keys, _ in pairs}, set())
                again = Config.fromfile(copied, lazy_import=False)
        finally:
            _options.reset(tokens[0])
            _plain.reset(tokens[1])
        result = Config(again._cfg_dict, cfg.text, cfg.filename, cfg.env_variables)
    else:
        result = copy.deepcopy(cfg)
    for (top, *rest), value in pairs:  # what no assignment of a file has taken up
        try:
            result[top] = put({top: result[top]} if top in result else {}, [top, *rest], value)[top]
        except (KeyError, TypeError) as error:
            raise type(error)(f'--cfg-options {".".join([top, *rest])}: {error.args[0]}') from None
    return result


def _rewrite(source: Path, folder: str, names: set[str], assigned: set[str]) -> Path:
    """Copy a config file, and those that it inherits from, so that options follow each assignment of these names.

    Args:
        assigned: the names that files nearer to the leaf assign.
    """
    copied = Path(tempfile.mkdtemp(dir=folder)) / source.name
    Config._substitute_predefined_vars(str(source), str(copied))
    Config._substitute_env_variables(str(copied), str(copied))
    tree = ast.parse(copied.read_text(encoding='utf-8'))
    bases = Config._get_base_files(str(copied))
    assignments = _Assignments(names)
    tree = assignments.visit(tree)
    for name, last in assignments.last.items():
        last.value.args.append(ast.Constant(name not in assigned))
    docstring = ast.get_docstring(tree) is not None
    tree.body.insert(docstring, ast.parse(f'from {__name__} import put_options as {PUT}, without_options as {PLAIN}'))
    paths = []
    for base in bases:
        path = base if '::' in base else Config._get_cfg_path(base, str(source))[0]
        inherited = '::' not in base and path.endswith('.py')
        paths.append(str(_rewrite(Path(path), folder, names, assigned | set(assignments.last))) if inherited else path)
    tree.body.append(ast.parse(f'_base_ = {paths!r}'))
    copied.write_text(ast.unparse(ast.fix_missing_locations(tree)), encoding='utf-8')
    return copied


class _Assignments(ast.NodeTransformer):
    """Lets options follow each assignment of some names, and takes out ``_base_``.

    Attributes:
        last: the last of these for each name.
    """

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.last: dict[str, ast.Assign] = {}

    def visit_FunctionDef(self, node: ast.AST) -> ast.AST:
        return node  # its names are its own

    visit_ClassDef = visit_Lambda = visit_FunctionDef

    def visit_Assign(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> list[ast.stmt] | None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        roots = {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
        if '_base_' in roots:
            return [node] if any(not isinstance(target, ast.Name) for target in targets) else None
        if isinstance(node.value, ast.Name) and node.value.id in self.names & RUN_KEYS and roots <= RUN_KEYS:
            # Two sections of a run that start as one (test_dataloader = val_dataloader) are still two.
            node.value = ast.parse(f'{PLAIN}({node.value.id!r}, {node.value.id})', mode='eval').body
        follow = {name: ast.parse(f'{name} = {PUT}({name!r}, {name})').body[0] for name in sorted(roots & self.names)}
        self.last |= follow
        return [node, *follow.values()]

    visit_AugAssign = visit_AnnAssign = visit_Assign


def put_options(name: str, value: object, complete: bool = False) -> object:
    """Called by a config file that is run again: a variable's value with the options in it.

    Args:
        complete: whether nothing assigns it later, so that positions in lists are those of the whole config.
    """
    _plain.get()[name] = value
    for (top, *rest), new in _options.get():
        positions = any(map(_is_position, rest))
        if top == name and (complete or not positions) and (not rest or _look_up(value, rest[:-1]) is not None):
            with suppress(KeyError, TypeError):  # said of the whole config, where it may fit
                value = put(value, rest, new)
    return value


def without_options(name: str, value: object) -> object:
    """Called by a config file that is run again: a variable's value before options were put into it."""
    return _plain.get().get(name, value)


def _look_up(value: object, keys: Sequence[str]) -> object:
    """What stands at these keys; None if nothing does."""
    for key in keys:
        try:
            value = value[int(key)] if isinstance(value, (list, tuple)) else value[key]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return value


def _has_effect(key: str, before: Config, after: Config) -> bool:
    """Whether a run is another one, or the value was the same before."""
    path = key.split('.')
    return _look_up(before, path) == _look_up(after, path) or _read_by_run(before) != _read_by_run(after)


def _refusal(key: str, value: object, cfg: Config) -> str:
    old, read = _look_up(cfg, key.split('.')), _read_by_run(cfg)
    if old is None:
        found, places = 'There is', [path for path, _ in walk(read) if path.endswith(f'.{key}')]
    else:
        found = f'Its value {old!r} stands at'
        places = [path for path, held in walk(read) if held == old and type(held) is type(old)]
    instead = ', '.join(places[:SHOWN]) + (f' and {len(places) - SHOWN} more' if len(places) > SHOWN else '')
    return (
        f'--cfg-options {key}={value!r} would change nothing: no part of a run of {cfg.filename} follows from it. '
        + (f'{found} {instead}: set that' if places else 'Nothing reads it')
    )


def _read_by_run(cfg: Config) -> dict:
    """What of a config a run reads, in the form in which it takes effect."""
    read = {key: cfg.get(key) for key in cfg if key in RUN_KEYS and key != 'data_root'}
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if isinstance(read.get(key), dict) and isinstance(read[key].get('dataset'), dict):
            dataset = hand_down_data_root(read[key]['dataset'], cfg.get('data_root'))
            read[key] = {**read[key], 'dataset': dataset}
    if 'test_dataloader' not in cfg:
        read['test_pipeline'] = cfg.get('test_pipeline')  # for single images
    if 'data_preprocessor' in read.get('model', {}):
        read.pop('data_preprocessor', None)
    return read
