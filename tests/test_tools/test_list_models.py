import importlib.util
import re
from pathlib import Path

from mmseg import zoo

ROOT = Path(__file__).parents[2]


def load_tool():
    spec = importlib.util.spec_from_file_location('list_models', ROOT / 'tools/misc/list_models.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_is_that_of_the_list():
    assert (ROOT / 'model_release/README.md').read_text() == load_tool().readme(), (
        'run: python tools/misc/list_models.py --readme'
    )


def test_the_list_has_the_figures_of_the_configs():
    published = {}
    for path in (ROOT / 'configs_local/lrformer').glob('*.py'):
        if found := re.search(r'^Published: ([\d.]+) mIoU', path.read_text(), re.MULTILINE):
            published[path.stem] = float(found[1])
    assert {model.name: model.mIoU for model in zoo.models().values()} == published


def test_the_list_has_the_imagenet_weights_of_the_configs():
    stated = set()
    for path in (ROOT / 'configs_local').rglob('*.py'):
        stated |= set(re.findall(r"checkpoint='(pretrained/[^']+)'", path.read_text()))
    assert set(zoo.backbones()) == stated


def test_the_table(capsys):
    tool = load_tool()
    tool.Console(width=200).print(tool.table(zoo.models()))
    assert '46.7' in capsys.readouterr().out
