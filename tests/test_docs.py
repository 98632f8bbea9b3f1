"""What the documentation shows is there: commands, options, names of configs, imports, types and their arguments.

Every block of code is read as what it is for, those included that test_docs_run.py cannot run. Nothing is trained.
"""

import ast
import importlib
import inspect
import re
import shlex
from functools import cache

import mmengine.registry
import pytest

import mmseg.registry
from mmseg.cli.main import COMMANDS
from mmseg.cli.parser import Parser
from mmseg.utils import register_all_modules
from mmseg.zoo.catalogue import config_names

from .documentation.blocks import FENCE, PAGES, ROOT
from .documentation.blocks import blocks as blocks_of

OTHER_PROGRAMS = (
    'cd',
    'cmake',
    'curl',
    'docker',
    'export',
    'find',
    'git',
    'ls',
    'make',
    'mkdir',
    'mkdocs',
    'npm',
    'npx',
)
OTHER_PROGRAMS += ('pre-commit', 'pytest', 'ruff', 'source', 'tar', 'trtexec', 'unzip')
PLACEHOLDER = re.compile(r'^[A-Z_]+$|\.\.\.|[/.]|^\d+$')


def blocks(language):
    return [
        pytest.param(block.text, id=f'{page}:{block.line}')
        for page in PAGES
        for block in blocks_of(page)
        if block.language == language
    ]


def commands(block):
    for line in block.replace('\\\n', ' ').splitlines():
        for part in re.split(r'\s(?:&&|\|)\s', line):
            words = shlex.split(part, comments=True)
            while words and re.match(r'^[A-Z_]+=', words[0]):
                words.pop(0)
            if words:
                yield words


@pytest.mark.parametrize('block', blocks('bash'))
def test_commands_and_options_exist(block):
    for words in commands(block):
        program, *rest = words
        if program == 'lrformer':
            check_call(rest)
        elif program in ('python', 'bash') and not rest[0].startswith('-'):
            assert (ROOT / rest[0]).is_file(), f'there is no {rest[0]}'
            for word in rest[1:]:
                assert not word.startswith('configs_local/') or (ROOT / word).exists(), f'there is no {word}'
        elif program == 'pip':
            for word in rest:
                extras = re.search(r'(?:^\.|lrformer)\[(.*)\]$', word)
                assert not extras or set(extras[1].split(',')) <= known_extras(), word
        else:
            assert program in ('python', *OTHER_PROGRAMS), f'unknown program {program}'


def check_call(words):
    if words[0].startswith('--') or words == ['COMMAND', '...']:
        return
    assert words[0] in COMMANDS, f'there is no command {words[0]}'
    if '...' in words:
        return
    command = importlib.import_module(f'mmseg.cli.{words[0]}')
    parser = Parser(words[0], COMMANDS[words[0]], command.USAGE)
    command.add_arguments(parser)
    try:
        args = parser.read(words[1:])
    except SystemExit as end:
        assert not end.code, f'lrformer {" ".join(words)} is refused'
        return
    for name in ('config', 'model'):
        value = getattr(args, name, None)
        for word in value if isinstance(value, list) else [value]:
            named = isinstance(word, str) and not PLACEHOLDER.search(word)
            assert not named or word in config_names(), f'there is no config {word}'


@cache
def known_extras():
    text = (ROOT / 'pyproject.toml').read_text()
    table = text.split('[project.optional-dependencies]')[1].split('\n[')[0]
    return set(re.findall(r'^(\w+) = ', table, re.MULTILINE))


@cache
def examples():
    """Classes that the pages themselves write."""
    return {
        name
        for page in PAGES
        for name in re.findall(r'^class (\w+)', (ROOT / page).read_text(encoding='utf-8'), re.MULTILINE)
    }


@cache
def registered():
    """Every class or function that a ``type`` may name."""
    register_all_modules(init_default_scope=False)
    found = {}
    for library in (mmengine.registry, mmseg.registry):
        for registry in vars(library).values():
            if isinstance(registry, mmengine.registry.Registry):
                found.update(registry.module_dict)
    return found


@pytest.mark.parametrize('block', blocks('python'))
def test_names_of_python_exist(block):
    tree = ast.parse(inspect.cleandoc(block))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split('.')[0] == 'mmseg':
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f'{node.module} has no {alias.name}'
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
            check_type({keyword.arg: keyword.value for keyword in node.keywords})


def check_type(arguments):
    name = getattr(arguments.pop('type', None), 'value', None)
    if not isinstance(name, str) or name in examples() or name.startswith(('mmdet.', 'mmpretrain.')):
        return
    kind = registered().get(name.removeprefix('mmseg.'))
    assert kind is not None, f'no registry has {name}'
    parameters = inspect.signature(kind).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        unknown = arguments.keys() - parameters.keys() - {'_delete_', None, 'begin', 'end', 'by_epoch'}
        assert not unknown, f'{name} has no {unknown}'


def test_links_lead_somewhere():
    broken = []
    for page in PAGES:
        for link in re.findall(
            r'\]\(([^)#\s]+)(?:#[^)]*)?\)', FENCE.sub('', (ROOT / page).read_text(encoding='utf-8'))
        ):
            if not re.match(r'[a-z]+:', link) and not (ROOT / page).parent.joinpath(link).exists():
                broken.append(f'{page}: {link}')
    assert not broken


def test_there_are_blocks():
    assert len(blocks('bash')) > 10 and len(blocks('python')) > 10
    with pytest.raises(AssertionError, match='there is no command'):
        check_call(['tain', 'x'])
    with pytest.raises(AssertionError, match='has no'):
        check_type(dict(type=ast.Constant('IoUMetric'), iou_metrcs=ast.Constant(1)))
