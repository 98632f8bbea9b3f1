"""A page is one HTML file that holds all it shows, also as JSON, from which it is drawn and can be read again."""

import base64
import json
import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mmseg.utils.atomic_file import atomic_write

_BLOCK = '<script type="application/json" id="json-{name}">'


@cache
def _environment() -> Environment:
    loader = PackageLoader('mmseg.report')
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True)
    environment.globals.update(file=lambda name: Markup(loader.get_source(environment, name)[0]))
    return environment


def write_page(
    path: str | Path, template: str, title: str, words: Mapping[str, object], blocks: Mapping[str, Any]
) -> Path:
    """Write a page, whole or not at all.

    Args:
        path: the file.
        template: a name in ``templates/``.
        title: of the page.
        words: what its text says, by name.
        blocks: what its scripts read, by name: plain data, arrays, and bytes, which become base64. Numbers that are
            not finite become null.
    """
    encoded = {
        name: Markup(f'{_BLOCK.format(name=name)}{_script_text(value)}</script>') for name, value in blocks.items()
    }
    text = _environment().get_template(template).render(title=title, blocks=encoded, **words)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(str(path)) as file:
        file.write(text.encode())
    return path


def read_page(path: str | Path, *names: str) -> list:
    """Blocks of a page that :func:`write_page` wrote.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it is no such page.
    """
    text = Path(path).read_text(encoding='utf-8')
    found = []
    for name in names:
        start = text.find(_BLOCK.format(name=name))
        if start < 0:
            raise ValueError(f'{path} is no page of a report that `lrformer test --report DIR` writes')
        start += len(_BLOCK.format(name=name))
        found.append(json.loads(text[start : text.index('</script>', start)]))
    return found


def _script_text(value: Any) -> str:
    """JSON that cannot end the script that it stands in."""
    return re.sub('[<>&]', lambda sign: f'\\u{ord(sign[0]):04x}', json.dumps(_plain(value), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
