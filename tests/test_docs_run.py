"""Every block of code of the documentation runs, but for what tests/documentation/exceptions.py lists."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .documentation import exceptions, workshop
from .documentation.blocks import PAGES, ROOT, blocks, logical_lines

WITH_CODE = [page for page in PAGES if blocks(page)]
SECONDS = 500


class Workshop:
    """The process that runs pages, and the files that they speak of."""

    def __init__(self, folder: Path, world: Path) -> None:
        self.log = folder / 'log'
        self.world = world
        self.address = str(folder / 'address')
        environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'tests.documentation.workshop', self.address],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == 'open\n'
        workshop.install(str(folder / 'programs'))
        self.programs = folder / 'programs'
        self.run('world', folder=self.world)

    def run(self, *words: str, folder: Path) -> None:
        with open(self.log, 'w+') as log, open(os.devnull) as nothing:
            environment = {
                **os.environ,
                workshop.ADDRESS: self.address,
                'PATH': f'{self.programs}{os.pathsep}{os.environ["PATH"]}',
                'PYTHON': str(self.programs / 'python'),
                'PORT': free_port(),
                'OTHER_PORT': free_port(),
                'HOME': str(folder),
                'XDG_CACHE_HOME': str(folder / '.cache'),
                'HF_HUB_OFFLINE': '1',
                'COLUMNS': '120',
            }
            streams = [nothing.fileno(), log.fileno(), log.fileno()]
            code = workshop.ask(list(words), str(folder), environment, streams, SECONDS)
        assert code == 0, f'{code}\n' + self.log.read_text(errors='replace')[-8000:]


def free_port() -> str:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return str(free.getsockname()[1])


@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    with tempfile.TemporaryDirectory() as folder:  # the address of a socket must be short
        shop = None
        try:
            shop = Workshop(Path(folder), tmp_path_factory.mktemp('world'))
            yield shop
        finally:
            if shop is not None:
                shop.process.communicate()  # ends its stdin, and so itself


def texts(language: str) -> list[str]:
    return [block.text for page in PAGES for block in blocks(page) if block.language == language]


SHELL = [line for text in texts('bash') for line in logical_lines(text)]
PYTHON = texts('python')
SLOW_PAGES = [
    page
    for page in WITH_CODE
    if any(exceptions.first_match(exceptions.SLOW, block.text) for block in blocks(page) if block.language)
]


@pytest.mark.parametrize('page', WITH_CODE)
def test_its_blocks_run(page, shop, tmp_path):
    run(page, 'quick', shop, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('page', SLOW_PAGES)
def test_its_blocks_run_and_the_slow_ones(page, shop, tmp_path):
    run(page, 'slow', shop, tmp_path)


def run(page, speed, shop, tmp_path):
    folder = tmp_path / 'page'
    shutil.copytree(shop.world, folder, symlinks=True, copy_function=os.link)  # files are replaced, not changed
    shop.run('page', page, speed, folder=folder)


@pytest.mark.parametrize(
    ('table', 'where'),
    [
        ('NOT_RUN', SHELL + [line for text in PYTHON for line in text.splitlines()]),
        ('SLOW', SHELL + PYTHON),
        ('NEEDS', SHELL + PYTHON),
        ('SHORTER', SHELL),
        ('VALUES', SHELL),
        ('TEXTS', PYTHON),
        ('BASES', PYTHON),
        ('USES', PYTHON),
        ('SHOWN', [block.text for page in PAGES for block in blocks(page) if block.language not in ('bash', 'python')]),
    ],
)
def test_no_exception_is_left_over(table, where):
    for pattern in getattr(exceptions, table):
        assert any(re.search(pattern, text, re.MULTILINE) for text in where), f'{table}: nothing matches {pattern}'


def test_each_block_is_code_or_known():
    for page in PAGES:
        for block in blocks(page):
            known = (
                block.language in ('bash', 'python') or exceptions.first_match(exceptions.SHOWN, block.text) is not None
            )
            assert known, f'{page}:{block.line}: neither bash nor python; say in SHOWN what it is compared with'
    assert exceptions.NAMES.keys() <= set(PAGES)


@pytest.mark.parametrize(
    ('block', 'message'),
    [
        ('bash\nlrformer trian CONFIG', "no command 'trian'"),
        ('bash\nlrformer check CONFIG --splits trian | cat', 'trian'),
        ('bash\nfind photos -name x.jpg | lrformer predict CONFIG - --checkpoint FILE --out results/', 'error: '),
        ('python\nfrom mmseg.apis import init_model\nmodel = init_model("nothing.py")', 'nothing.py'),
        ('python\nmodel = dict(decode_head=dict(type="LRHaed"))', 'LRHaed'),
        ('python\nclass Unused:\n    pass', 'nothing uses what this block defines'),
        ('\ndata/ade/ADEChallengeData2016\n└── pictures', 'there is no data/ade/ADEChallengeData2016/pictures'),
    ],
)
def test_a_false_block_fails(block, message, shop, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(f'```{block}\n```\n')
    with pytest.raises(AssertionError, match=message):
        run(str(page), 'quick', shop, tmp_path)
