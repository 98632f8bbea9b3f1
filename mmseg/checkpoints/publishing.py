"""Checkpoints for others: weights, classes, palette, config text, metric. No optimizer, no paths.

The suffix of the file, .pth or .safetensors, decides on the form. The first digits of its SHA-256 go into its name, as
in lrformer-t_ade20k-0123abcd.safetensors: `sha256sum` on that prints 0123abcd...
"""

import hashlib
import io
import re
from pathlib import Path

from mmseg.utils.atomic_file import atomic_write
from mmseg.version import __version__

from .dataset_meta import complete_dataset_meta, dataset_meta_of
from .reading import choose_weights, load_checkpoint_file
from .writing import write_checkpoint

_OF_THE_RUN = re.compile(r'^(work_dir|load_from|resume|launcher|experiment_name) = .*\n?', re.MULTILINE)
_LOCAL_STRING = re.compile(r"""(['"])(file://)?(~\w*/|/(?=[\w.])|[A-Za-z]:(/|\\)|\\{4})(\\.|(?!\1)[^\\\n])*\1""")
_LOCAL_WORD = re.compile(r"""(?<![\w./~])(~\w*/|/(?=\w)|[A-Za-z]:\\)[^\s'",;:)\]}]*""")


def publish(source: str | Path, target: Path, weights: str = 'ema', metric: dict[str, float] | None = None) -> Path:
    """Write the stripped checkpoint.

    Args:
        source: a ``.pth`` or ``.safetensors`` file, or its URL.
        target: the file to write, to whose name the digits are added.
        weights: 'ema' for the averaged weights where there are any, 'last' for those of the last iteration.
        metric: values to state; None for those that the checkpoint holds.

    Returns:
        The file that was written.
    """
    if target.suffix not in ('.pth', '.safetensors'):
        raise ValueError(f'{target}: the file to write must end in .pth or .safetensors')
    checkpoint = load_checkpoint_file(source)
    meta = checkpoint.get('meta') or {}
    state_dict = choose_weights(checkpoint, weights, str(source))
    facts = {
        'dataset_meta': _classes_and_palette(checkpoint),
        'cfg': without_local_paths(str(meta.get('cfg') or meta.get('config') or '')) or None,
        'metric': metric or _numbers(meta.get('metric')),
        'iter': meta.get('iter'),
        'weights': weights if checkpoint.get('ema_state_dict') else meta.get('weights'),
        'lrformer_version': __version__,
    }
    published = {'state_dict': state_dict, 'meta': {key: fact for key, fact in facts.items() if fact is not None}}

    content = io.BytesIO()
    write_checkpoint(content, published, as_safetensors=target.suffix == '.safetensors')
    digits = hashlib.sha256(content.getbuffer()).hexdigest()[:8]
    path = target.with_name(f'{target.stem}-{digits}{target.suffix}')
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(content.getbuffer())
    return path


def _classes_and_palette(checkpoint: dict) -> dict | None:
    stated = dataset_meta_of(checkpoint)
    if stated and 'classes' in stated:  # whose colours can be made; names cannot
        stated = complete_dataset_meta(stated, default=dict)
    return stated and {key: list(value) for key, value in stated.items()}


def _numbers(metric: object) -> dict[str, float] | None:
    return {str(name): float(value) for name, value in metric.items()} if isinstance(metric, dict) else None


def without_local_paths(config: str) -> str:
    """A config's text without the keys that concern one run only, and without the paths of one machine."""
    text = _OF_THE_RUN.sub('', config)
    text = _LOCAL_STRING.sub("'<local path>'", text)
    return _LOCAL_WORD.sub('<local path>', text)
