"""Pretrained weights that a config names by address: fetched once, when a model is about to be trained."""

import os
import re
from urllib.parse import urlparse

import torch
from mmengine.runner.checkpoint import get_external_models, get_torchvision_models

SCHEMES = ('http://', 'https://', 'torchvision://', 'open-mmlab://', 'openmmlab://')


def local_copy(source: str) -> str:
    """The path of a weights file: ``source`` itself, or where its download lies.

    Args:
        source: a path, a URL, or ``torchvision://NAME``, ``open-mmlab://NAME`` as mmsegmentation's configs write.

    Raises:
        FileNotFoundError: it is not there and cannot be fetched; the message names the URL.
    """
    if not source.startswith(SCHEMES):
        return source
    url = _url_of(source)
    path = os.path.join(torch.hub.get_dir(), 'checkpoints', os.path.basename(urlparse(url).path))
    if not os.path.isfile(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        digest = re.search(r'-([0-9a-f]{8,})\.', os.path.basename(path))  # published names end in it
        try:
            torch.hub.download_url_to_file(url, path, digest[1] if digest else None, progress=False)
        except (OSError, RuntimeError) as error:
            named = '' if source == url else f' ({url})'
            raise FileNotFoundError(
                f'pretrained weights {source!r}{named} cannot be fetched: {error}; put that file at {path!r} or write '
                'its path in the config, or train from scratch without (init_cfg=None, pretrained=None)'
            ) from error
    return path


def _url_of(source: str) -> str:
    scheme, name = source.split('://', 1)
    if scheme in ('http', 'https'):
        return source
    known = get_torchvision_models() if scheme == 'torchvision' else get_external_models()
    if name not in known:
        raise FileNotFoundError(f'pretrained weights {source!r}: {scheme} publishes none of that name')
    return known[name]
