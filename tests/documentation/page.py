"""One page: its blocks in order, those of Python in one namespace, those of the shell in one folder."""

import ast
import os
import re
import runpy
import shlex
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

from mmseg.cli import main

from . import world
from .blocks import Block, blocks, logical_lines
from .exceptions import (
    BASES,
    MODEL_KEYS,
    NAMES,
    NEEDS,
    NOT_RUN,
    SHORTER,
    SHOWN,
    SLOW,
    TEXTS,
    USES,
    VALUES,
    first_match,
)

# What listens is started in the background, and waited for.
PREAMBLE = r"""
lrformer() {
    if [[ $1 == serve ]]; then
        [[ $* =~ --port\ ([0-9]+) ]] || set -- "$@" --port "$PORT"
        command lrformer "$@" &
        until command curl --silent "http://127.0.0.1:${BASH_REMATCH[1]:-$PORT}/health"; do sleep 0.1; kill -0 $!; done
    else
        command lrformer "$@"
    fi
}
curl() {
    command curl --fail --silent "$@"
}
"""


def run(words: list[str]) -> int | None:
    """What the workshop does with a command."""
    program, *rest = words
    if program == 'lrformer':
        return main(rest)
    if program == 'python':
        return _script(rest)
    if program == 'world':
        return world.make()
    page, slow = rest
    for name in re.findall(r'lrformer new .*--out (\S+)', '\n'.join(block.text for block in blocks(page))):
        Path(name).unlink(missing_ok=True)  # the page writes it
    namespace = {'__name__': '__main__', **NAMES.get(page, dict)()}
    for block in blocks(page):
        print(f'\n----- {page}:{block.line}', flush=True)
        if block.language == 'bash':
            _bash(block, slow == 'slow')
        elif block.language == 'python':
            _python(block, namespace, slow == 'slow')
        elif check := first_match(SHOWN, block.text):
            exec(check, dict(text=block.text, require_tree=world.require_tree))
    return 0


def _script(words: list[str]) -> None:
    if words[0].startswith('-'):
        os.execv(sys.executable, [sys.executable, *words])
    sys.argv = words
    sys.path.insert(0, os.path.dirname(os.path.abspath(words[0])))
    runpy.run_path(words[0], run_name='__main__')


def left_out(text: str, slow: bool) -> str | None:
    """Why a line of the shell, or a block of Python, does not run; None where it does."""
    missing = first_match(NEEDS, text)
    return (
        first_match(NOT_RUN, text)
        or (None if slow else first_match(SLOW, text))
        or (f'needs {missing}' if missing and find_spec(missing) is None else None)
    )


def shell_script(block: Block, slow: bool) -> str:
    """What is run of a block of the shell: all but the lines that cannot, with values for placeholders."""
    lines = []
    for line in logical_lines(block.text):
        if reason := left_out(line, slow):
            line = f': {shlex.quote(reason)}'
        for pattern, value in VALUES.items():
            line = re.sub(pattern, value, line)
        if words := first_match(SHORTER, line):
            command, hash, comment = line.partition(' #')
            line = f'{command} {words}{hash}{comment}'
        lines.append(line)
    return '\n'.join(lines)


def _bash(block: Block, slow: bool) -> None:
    script = shell_script(block, slow)
    subprocess.run(['bash', '-euo', 'pipefail', '-c', f'{PREAMBLE}set -x\n{script}'], check=True)


def _python(block: Block, namespace: dict, slow: bool) -> None:
    lines = textwrap.dedent(block.text).splitlines()
    text = '\n'.join('' if first_match(NOT_RUN, line) else line for line in lines)
    if reason := left_out(text, slow):
        print(f'left out: {reason}')
        return
    for pattern, value in TEXTS.items():
        text = re.sub(pattern, value, text)
    tree, use = ast.parse(text), first_match(USES, block.text)
    if use is None and all(isinstance(node, ast.Assign) for node in tree.body):
        for number, fragment in enumerate(_fragments(tree)):
            _train(f'fragment_{block.line}_{number}.py', fragment, first_match(BASES, block.text))
        return
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        tree.body[-1] = ast.Assign([ast.Name('shown', ast.Store())], last.value)
        ast.fix_missing_locations(tree)
    ast.increment_lineno(tree, block.line - 1)
    exec(compile(tree, block.page, 'exec'), namespace)
    if use is not None:
        exec(
            compile(use, f'what {block.page}:{block.line} is for', 'exec'),
            {**namespace, 'train': _train, 'lines': text},
        )
    elif any(isinstance(node, (ast.ClassDef, ast.FunctionDef)) for node in tree.body):
        raise AssertionError('nothing uses what this block defines: say in USES what it is for')


def _fragments(tree: ast.Module) -> list[str]:
    """Lines of a config; of alternatives, which assign one name twice, each by itself."""
    found = [{}]
    for node in tree.body:
        name, text = node.targets[0].id, ast.unparse(node)
        if name in found[-1]:
            found.append({})
        found[-1][name] = text
    return [_config(lines) for lines in found]


def _config(lines: dict[str, str]) -> str:
    inside = [lines.pop(name) for name in MODEL_KEYS & lines.keys()]
    return '\n'.join([*lines.values(), f'model = dict({", ".join(inside)})' if inside else ''])


def _train(name: str, fragment: str, base: str | None = None, *further: list[str]) -> None:
    """Train as the lines on top of a config say, and run further commands, in a process of its own."""
    Path(name).write_text(f'_base_ = {base or world.SCENES!r}\n\n{fragment}\n')
    print(fragment, flush=True)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = max(main([*command, '--traceback']) for command in (['train', name], *further))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, f'training with these lines ended with {code}'
