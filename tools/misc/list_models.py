"""Lists the published models, and writes model_release/README.md from model_release/models.json.

python tools/misc/list_models.py            # as lrformer models
python tools/misc/list_models.py --readme   # the same as model_release/README.md
"""

import sys
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg, run  # noqa: E402

require_own_mmseg()

from mmseg.zoo import backbones, models, repository  # noqa: E402
from mmseg.zoo.catalogue import HOME  # noqa: E402

_INTRODUCTION = """# Released weights

<!-- Written by tools/misc/list_models.py --readme from models.json. -->

A name brings config and weights, from any folder; `lrformer models` lists them all:

```bash
lrformer predict {example} photos/ --out results/
```

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
        parts.append(f'\n## {dataset}\n\n| name and config | parameters | mIoU |\n|---|---|---|\n')
        parts += [f'| [{m.name}](../configs_local/{m.config}) | {m.parameters} M | {m.mIoU} |\n' for m in group]
    parts += [_BACKBONES, '\n| file | trained on |\n|---|---|\n']
    parts += [f'| `{backbone.name}` | {backbone.dataset} |\n' for backbone in backbones().values()]
    return ''.join(parts)


def main() -> None:
    if sys.argv[1:] != ['--readme']:
        run('models')
    path = HOME / 'model_release' / 'README.md'
    path.write_text(readme(), encoding='utf-8')
    print(f'written: {path}')


if __name__ == '__main__':
    main()
