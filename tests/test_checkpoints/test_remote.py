import os
from urllib.error import URLError

import pytest
import torch

from mmseg.checkpoints import local_copy


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    return tmp_path


def test_a_path_is_itself():
    assert local_copy('pretrained/x.pth') == 'pretrained/x.pth'


@pytest.mark.parametrize(
    ('source', 'file'),
    [
        ('torchvision://resnet50', 'resnet50-0676ba61.pth'),
        ('open-mmlab://resnet50_v1c', 'resnet50_v1c-2cccc1ad.pth'),
        ('https://example.org/a/mit_b0_20220624-7e0fe6dd.pth?x=1', 'mit_b0_20220624-7e0fe6dd.pth'),
    ],
)
def test_what_is_fetched_once_is_not_fetched_again(source, file, hub, monkeypatch):
    asked = []

    def download(url, path, hash_prefix, progress):
        asked.append((url, hash_prefix))
        with open(path, 'w') as target:
            target.write('weights')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    expected = os.path.join(hub, 'checkpoints', file)
    assert local_copy(source) == local_copy(source) == expected
    assert len(asked) == 1 and asked[0][1] == file.rpartition('-')[2].removesuffix('.pth')


def test_no_network_names_the_file_to_bring(monkeypatch):
    def download(*args, **kwargs):
        raise URLError('no network')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    with pytest.raises(FileNotFoundError, match="'torchvision://resnet50' .*no network.*put that file at") as error:
        local_copy('torchvision://resnet50')
    assert '\n' not in str(error.value)


def test_an_unknown_name():
    with pytest.raises(FileNotFoundError, match='open-mmlab publishes none of that name'):
        local_copy('open-mmlab://resnet51')
