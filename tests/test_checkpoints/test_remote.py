import hashlib
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from mmseg.apis import init_model
from mmseg.checkpoints import load_checkpoint_file, local_file, remote
from mmseg.engine import SegRunner
from mmseg.engine.launch import load_config
from mmseg.engine.launch import test as run_test
from mmseg.registry import MODELS

from ..file_server import FileServer, serve
from ..test_engine.toy import toy_config

CONFIG = Path(__file__).parents[2] / 'configs_local/lrformer/lrformer-n_scenes-128x128.py'


def content(seed=0):
    buffer = io.BytesIO()
    torch.save({'a': torch.full((5000,), float(seed))}, buffer)
    return buffer.getvalue()


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    with serve(FileServer()) as files:
        files.files['/a/weights.pth'] = content()
        yield files


@pytest.fixture
def cache(tmp_path):
    return tmp_path / 'cache/hub/checkpoints'


def test_it_is_downloaded_once_into_torchs_cache(server, cache):
    for _ in range(2):
        assert load_checkpoint_file(server.url + '/a/weights.pth')['state_dict']['a'].sum() == 0
    assert len(server.requests) == 1
    assert (cache / 'weights.pth').read_bytes() == content()
    assert not list(cache.glob('unfinished*'))


def test_mmengine_reads_it_through_the_same_door(server):
    assert CheckpointLoader.load_checkpoint(server.url + '/a/weights.pth', 'cpu')['state_dict']['a'].shape == (5000,)


def test_two_urls_with_the_same_file_name_are_two_files(server):
    server.files['/b/weights.pth'] = content(1)
    for _ in range(2):
        assert load_checkpoint_file(server.url + '/a/weights.pth')['state_dict']['a'][0] == 0
        assert load_checkpoint_file(server.url + '/b/weights.pth?raw=1')['state_dict']['a'][0] == 1
    assert len(server.requests) == 2


def test_two_urls_with_the_same_file_name_at_once(server):
    server.files['/b/weights.pth'] = content(1)
    with ThreadPoolExecutor(4) as threads:
        urls = [f'{server.url}/{folder}/weights.pth' for folder in 'abab']
        first = [state['state_dict']['a'][0].item() for state in threads.map(load_checkpoint_file, urls)]
    assert first == [0, 1, 0, 1] and len(server.requests) == 2


def test_a_signature_behind_the_name_makes_no_other_file(server):
    for signature in ('?expires=1', '?expires=2', ''):
        local_file(server.url + '/a/weights.pth' + signature)
    assert len(server.requests) == 1


def test_a_broken_connection_is_taken_up_where_it_broke(server):
    server.break_after = [700, 1000]
    assert load_checkpoint_file(server.url + '/a/weights.pth')['state_dict']['a'].sum() == 0
    assert server.bodies('/a/weights.pth') == [None, 'bytes=700-', 'bytes=1700-']


def test_what_stays_broken_leaves_nothing_and_says_where_to_put_a_copy(server, cache):
    server.break_after = [10, 10, 10]
    with pytest.raises(ConnectionError, match=rf'weights\.pth cannot be downloaded: .*broke.* put it there: {cache}'):
        local_file(server.url + '/a/weights.pth')
    assert not list(cache.glob('*.pth'))
    (cache / 'weights.pth').write_bytes(content(2))  # what the message says
    assert load_checkpoint_file(server.url + '/a/weights.pth')['state_dict']['a'][0] == 2


def test_a_hash_in_the_name_is_compared(server, cache):
    digits = hashlib.sha256(content()).hexdigest()
    good, wrong, dated = (f'/weights-{end}.pth' for end in (digits[:8], '0123abcd', '20260131'))
    server.files |= dict.fromkeys((good, wrong, dated), content())
    assert load_checkpoint_file(server.url + good)
    assert load_checkpoint_file(server.url + dated)
    with pytest.raises(ValueError, match=f'refused: its SHA-256 begins with {digits[:16]}, not with 0123abcd'):
        load_checkpoint_file(server.url + wrong)
    assert not (cache / wrong[1:]).exists()


@pytest.mark.parametrize('name', ['weights-{}.pth', 'weights.pth'])
def test_a_file_that_changed_in_the_cache_is_refused(server, cache, name):
    name = name.format(hashlib.sha256(content()).hexdigest()[:8])
    server.files[f'/{name}'] = content()
    local_file(f'{server.url}/{name}')
    (cache / name).write_bytes(content(3))
    with pytest.raises(ValueError, match='remove it to download it again'):
        load_checkpoint_file(f'{server.url}/{name}')


@pytest.mark.parametrize('body', [b'<html>please log in</html>', b'', content()[:-100]])
def test_what_is_no_checkpoint_is_not_kept(server, cache, body):
    server.files['/page.pth'] = body
    with pytest.raises(ValueError, match=r'page\.pth: what the server sent is refused'):
        load_checkpoint_file(server.url + '/page.pth')
    assert not list(cache.glob('page*.pth'))


def test_what_would_run_code_is_refused_as_in_a_local_file(server):
    buffer = io.BytesIO()
    torch.save({'a': torch.zeros(1), 'meta': print}, buffer)
    server.files['/evil.pth'] = buffer.getvalue()
    with pytest.raises(ValueError, match='refused: its pickle asks for builtins.print'):
        load_checkpoint_file(server.url + '/evil.pth')


def test_no_such_file_and_no_such_server(server):
    with pytest.raises(FileNotFoundError, match=r'nothing\.pth: the server answered 404'):
        load_checkpoint_file(server.url + '/nothing.pth')
    with pytest.raises(ConnectionError, match=r'x\.pth cannot be downloaded: .*refused'):
        load_checkpoint_file('http://127.0.0.1:1/x.pth')


THREE_THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from mmseg.checkpoints import local_file
input()
with ThreadPoolExecutor(3) as threads:
    print(*set(threads.map(local_file, [sys.argv[1]] * 3)), sep='\\n')
"""


def test_of_several_processes_and_threads_one_downloads(server):
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', THREE_THREADS, server.url + '/a/weights.pth'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        process.stdin.write('go\n')
        process.stdin.flush()
    paths = [process.communicate(timeout=120)[0].splitlines()[-1] for process in processes]
    assert paths[0] == paths[1] and Path(paths[0]).is_file()
    assert [process.returncode for process in processes] == [0, 0]
    assert len(server.requests) == 1


def test_every_place_that_names_a_checkpoint_takes_a_url(server, tmp_path):
    """load_from, init_cfg, init_model and test.py."""
    runner = SegRunner.from_cfg(Config(toy_config(tmp_path / 'first')))
    runner.train()
    server.files['/toy.pth'] = (tmp_path / 'first/iter_6.pth').read_bytes()
    again = SegRunner.from_cfg(Config(toy_config(tmp_path / 'second', load_from=server.url + '/toy.pth')))
    again.load_or_resume()
    for name, value in runner.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)

    sizes = dict(type='LRFormer', embed_dims=(8, 16, 20, 32), depths=(1, 1, 1, 1))
    backbone = MODELS.build(sizes)
    torch.save(backbone.state_dict(), tmp_path / 'backbone.pth')
    server.files['/backbone.pth'] = (tmp_path / 'backbone.pth').read_bytes()
    loaded = MODELS.build({**sizes, 'init_cfg': dict(type='Pretrained', checkpoint=server.url + '/backbone.pth')})
    loaded.init_weights()
    assert torch.equal(loaded.stages[3].blocks[0].mlp.fc1.weight, backbone.stages[3].blocks[0].mlp.fc1.weight)

    model = init_model(CONFIG, device='cpu')
    torch.save(model.state_dict(), tmp_path / 'n.pth')
    server.files['/n.pth'] = (tmp_path / 'n.pth').read_bytes()
    again = init_model(CONFIG, server.url + '/n.pth', device='cpu')
    assert torch.equal(again.decode_head.conv_seg.weight, model.decode_head.conv_seg.weight)
    cfg = load_config(CONFIG, dict(test_dataloader=dict(dataset=dict(indices=2))), str(tmp_path / 'test'))
    with pytest.raises(FileNotFoundError, match='404'):  # past the check for a local file
        run_test(cfg, server.url + '/missing.pth')


def test_names_that_mmsegmentation_gives_to_weights(cache, server, monkeypatch):
    asked = {
        'torchvision://resnet50': 'resnet50-0676ba61.pth',
        'open-mmlab://resnet50_v1c': 'resnet50_v1c-2cccc1ad.pth',
    }
    monkeypatch.setattr(remote, '_file_of_url', os.path.basename)
    assert {source: local_file(source) for source in asked} == asked
    with pytest.raises(FileNotFoundError, match="'torchvision://resnet51': no such weights; near it are resnet50"):
        local_file('torchvision://resnet51')
