"""Lists the published models, and writes model_release/README.md from model_release/models.json.

python tools/misc/list_models.py            # names, figures, configs
python tools/misc/list_models.py --readme   # the same as model_release/README.md
"""

import argparse
from itertools import groupby

from rich.console import Console
from rich.table import Table

from mmseg.zoo import Model, backbones, models, repository
from mmseg.zoo.catalogue import HOME

_INTRODUCTION = """# Released weights

<!-- Written by tools/misc/list_models.py --readme from models.json. -->

A name brings config and weights, from any folder:

```python
from mmseg.apis import init_model

model = init_model('{example}')
```

Weights come from [{repository}](https://huggingface.co/{repository}) and are kept in the
hub's cache (`HF_HUB_CACHE`; `HF_HUB_OFFLINE=1` asks for nothing else, `HF_ENDPOINT` names a mirror). Their SHA-256 is
kept at the first download, and a file that differs later is refused. Without a network: put downloaded files into
`model_release/` of the folder that you start from; git ignores them. Where the name of a file in the repository says
too little, `files` in `models.json` states it.
"""
_BACKBONES = """
## ImageNet weights

Configs state them in `init_cfg`, as `pretrained/FILE` of the folder that you start from; what is not there comes from
the same repository.
"""


def readme() -> str:
    """The text of ``model_release/README.md``."""
    parts = [_INTRODUCTION.format(example=next(iter(models())), repository=repository())]
    for dataset, group in groupby(models().values(), key=lambda model: model.dataset):
        parts.append(f'\n## {dataset}\n\n| name and config | mIoU |\n|---|---|\n')
        parts += [f'| [{m.name}](../configs_local/{m.config}) | {m.mIoU} |\n' for m in group]
    parts += [_BACKBONES, '\n| file | trained on |\n|---|---|\n']
    parts += [f'| `{backbone.name}` | {backbone.dataset} |\n' for backbone in backbones().values()]
    return ''.join(parts)


def table(entries: dict[str, Model]) -> Table:
    """Names, datasets, figures and configs."""
    rows = Table('name', 'dataset', 'mIoU', 'config', box=None)
    for model in entries.values():
        rows.add_row(model.name, model.dataset, str(model.mIoU), f'configs_local/{model.config}')
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--readme', action='store_true', help='write model_release/README.md')
    if parser.parse_args().readme:
        path = HOME / 'model_release' / 'README.md'
        path.write_text(readme(), encoding='utf-8')
        print(f'written: {path}')
    else:
        Console().print(table(models()))


if __name__ == '__main__':
    main()
