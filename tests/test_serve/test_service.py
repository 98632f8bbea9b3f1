"""The HTTP endpoint: right answers, bad uploads, many clients."""

import base64
import io
import json
import random
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import PIL.Image
import pytest

from mmseg.apis import inference_model
from mmseg.inference import Segmentor

from .serving import served  # skips without the extra 'web'

from mmseg.serve import Batcher, Busy, Limits  # isort: skip


@pytest.fixture(scope='module')
def url(model):
    with served(model) as url:
        yield url


def ask(url, body=None, path='/segment', headers=()):
    """Status and content."""
    request = urllib.request.Request(url + path, body, dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def picture(height=48, width=64, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def png(array):
    return cv2.imencode('.png', array)[1].tobytes()


def opened(content):
    return np.array(PIL.Image.open(io.BytesIO(content)))


@pytest.mark.parametrize('size', [(48, 64), (33, 70)])
def test_answers_are_those_of_predict(model, url, size):
    array = picture(*size)
    expected = inference_model(model, array).pred_sem_seg.data[0].numpy()
    status, content = ask(url, png(array), '/segment?answer=labels')
    assert status == 200
    np.testing.assert_array_equal(opened(content), expected)

    status, content = ask(url, png(array), '/segment?answer=map')
    said = json.loads(content)
    packed = opened(base64.b64decode(said['map'].split(',')[1]))
    np.testing.assert_array_equal(packed[..., 0] + 256 * packed[..., 1].astype(int), expected)
    scores = inference_model(model, array, scores=True).seg_logits.data
    np.testing.assert_allclose(packed[..., 2] / 255, scores.softmax(0).amax(0), atol=0.003)
    shares = {found['label']: found['share'] for found in said['classes']}
    assert shares == {int(label): (expected == label).mean() for label in np.unique(expected)}
    assert (said['height'], said['width'], said['model']) == (*size, 'n')


def test_a_form_a_picture_and_the_other_paths(url):
    boundary = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    form = boundary + png(picture()) + b'\r\n--x--\r\n'
    headers = {'Content-Type': 'multipart/form-data; boundary=x'}
    assert ask(url, form, headers=headers)[0] == 200
    assert ask(url, boundary.replace(b'image', b'other') + b'\r\n--x--\r\n', headers=headers)[0] == 400
    assert opened(ask(url, png(picture()), '/segment?answer=overlay')[1]).ndim == 3
    assert json.loads(ask(url, path='/models')[1])['n'][0]['name'] == 'sky'
    assert b'/segment' in ask(url, path='/openapi.json')[1] and b'lrformer_images_total' in ask(url, path='/metrics')[1]
    assert opened(ask(url, path='/examples/0')[1]).ndim == 3 and ask(url, path='/examples/4')[0] == 404
    assert ask(url, png(picture()), '/segment?model=m')[0] == 404
    assert ask(url, png(picture()), '/segment?opacity=2')[0] == 422
    assert b'LRFormer' in ask(url, path='/')[1]


def test_other_names_and_strangers_are_kept_out(model):
    with served(model, password='me:secret') as url:
        assert ask(url, path='/models')[0] == 401 and ask(url, path='/health')[0] == 200
        for given, status in ((b'me:secret', 200), (b'me:other', 401), (b'\xff', 401)):
            headers = {'Authorization': 'Basic ' + base64.b64encode(given).decode()}
            assert ask(url, path='/models', headers=headers)[0] == status
        assert ask(url, path='/models', headers={'Authorization': 'Basic ?'})[0] == 401
        assert ask(url, path='/health', headers={'Host': 'evil.example'})[0] == 400


def test_what_is_too_large_is_refused(model):
    with served(model, Limits(megabytes=0.02, megapixels=0.01)) as url:
        status, content = ask(url, png(picture(100, 120)))
        assert status == 413 and b'0.02 MiB' in content
        status, content = ask(url, png(np.zeros((101, 100, 3), np.uint8)))
        assert status == 413 and b'101 x 100' in content
        status, content = ask(url, png(np.zeros((10, 161, 3), np.uint8)))
        assert status == 413 and b'10 x 161' in content
        assert ask(url, png(np.zeros((100, 100, 3), np.uint8)))[0] == 200


def test_a_thousand_malformed_uploads(url):
    """Anything that a program may send: an answer of the service's own, and it lives."""
    rng, whole = random.Random(0), png(picture())
    jpeg = cv2.imencode('.jpg', picture())[1].tobytes()

    def broken():
        content = bytearray(rng.choice((whole, jpeg)))
        kind = rng.randrange(5)
        if kind == 0:
            return bytes(content[: rng.randrange(len(content))])
        if kind == 1:
            return rng.randbytes(rng.randrange(300))
        if kind == 2:
            content[16:24] = rng.randbytes(8)  # width and height of a PNG
        for _ in range(rng.randrange(1, 20)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        return bytes(content)

    bodies = [broken() for _ in range(1000)]
    types = ('image/png', 'multipart/form-data; boundary=x', 'multipart/form-data', 'text/plain\xe9')
    kinds = [{'Content-Type': rng.choice(types)} for _ in bodies]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda body, kind: ask(url, body, headers=kind)[0], bodies, kinds))
    assert set(answers) <= {200, 400, 413} and answers.count(400) > 500
    assert ask(url, whole)[0] == 200


def test_two_hundred_clients_at_once(model):
    with served(model, Limits(waiting=8)) as url:
        bodies = [png(picture(32, 32 + 32 * (i % 2), seed=i)) for i in range(200)]
        with ThreadPoolExecutor(200) as pool:
            answers = list(pool.map(lambda body: ask(url, body), bodies))
        statuses = [status for status, _ in answers]
        assert set(statuses) <= {200, 429} and statuses.count(200) >= 8 and 429 in statuses
        for body, (status, content) in zip(bodies, answers, strict=True):
            width = cv2.imdecode(np.frombuffer(body, np.uint8), 1).shape[1]
            assert status == 429 or json.loads(content)['width'] == width  # nobody gets another's answer
        assert ask(url, bodies[0])[0] == 200
        assert json.loads(ask(url, path='/health')[1])['waiting'] == {'n': 0}


def test_a_slow_network_and_a_slow_client_are_not_waited_for(model, monkeypatch):
    go = threading.Event()
    original = Segmentor.scores_of
    monkeypatch.setattr(Segmentor, 'scores_of', lambda self, batch: go.wait(20) and original(self, batch))
    with served(model, Limits(seconds=0.3)) as url:
        status, content = ask(url, png(picture()))
        assert status == 504 and b'0.3 s' in content
        host, port = url.removeprefix('http://').split(':')
        with socket.create_connection((host, int(port))) as line:
            line.sendall(b'POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc')
            assert b' 408 ' in line.recv(200)
        go.set()


def test_waiting_images_of_one_size_share_a_batch(model, monkeypatch):
    go, sizes, original = threading.Event(), [], Segmentor.scores_of

    def slowly(self, batch):
        go.wait(20)
        sizes.append(len(batch))
        return original(self, batch)

    monkeypatch.setattr(Segmentor, 'scores_of', slowly)
    segmentor = Segmentor(model)
    batcher = Batcher(segmentor, batch_size=3, waiting=7)
    wide, high = segmentor.prepare(picture(32, 64)), segmentor.prepare(picture(64, 32))
    first = batcher.submit(wide)
    while len(batcher):
        time.sleep(0.01)  # until the thread has taken it
    others = [batcher.submit(prepared) for prepared in (wide, high, wide, high, wide, wide, wide)]
    with pytest.raises(Busy):
        batcher.submit(wide)
    others[-1].cancel()
    go.set()
    shapes = [future.result(30).labels.shape for future in (first, *others[:-1])]
    assert shapes == [(32, 64), (32, 64), (64, 32), (32, 64), (64, 32), (32, 64), (32, 64)]
    batcher.close()
    assert sizes == [1, 3, 2, 1]


def test_errors_of_the_network_come_back(model, monkeypatch):
    def fails(self, batch):
        raise RuntimeError('out of memory')

    monkeypatch.setattr(Segmentor, 'scores_of', fails)
    segmentor = Segmentor(model)
    batcher = Batcher(segmentor)
    with pytest.raises(RuntimeError, match='out of memory'):
        batcher.submit(segmentor.prepare(picture())).result(30)
    batcher.close()
