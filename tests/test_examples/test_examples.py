"""The examples see what PyTorch sees: without PyTorch, and in a browser."""

import json
import logging
import queue
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('onnx', reason='the extra "export" is not installed')
pytest.importorskip('onnxruntime', reason='the extra "export" is not installed')

from mmseg.apis import inference_model, init_model
from mmseg.datasets.scene_painter import draw_scene
from mmseg.export import Export, parity
from mmseg.zoo import config_file

from ..test_runtimes import tiny

EXAMPLES = Path(__file__).parents[2] / 'examples'
BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
SHALLOW = {'model.backbone.depths': (0, 0, 0, 1)}  # and the two blocks of the head
WEB = EXAMPLES / 'browser/node_modules/onnxruntime-web'


class Work(NamedTuple):
    """A folder with ``model.onnx`` and ``picture.png``, and what PyTorch sees in it."""

    folder: Path
    labels: np.ndarray
    classes: tuple[str, ...]
    palette: list[list[int]]


@pytest.fixture(params=('scores', 'masks', 'labels', 'LRFormer'))
def work(request, tmp_path):
    if request.param == 'LRFormer':
        return request.getfixturevalue('of_lrformer')
    segmentor = tiny.model()
    image = cv2.resize(np.random.default_rng(1).integers(0, 256, (8, 12, 3), dtype=np.uint8), (96, 64))
    cv2.imwrite(str(tmp_path / 'picture.png'), image)
    if request.param == 'labels':
        segmentor = init_model(tiny.write_labeller(tmp_path / 'model.onnx', segmentor))
    else:
        fixed = (None, None, None) if request.param == 'scores' else (1, None, None)
        tiny.write(tmp_path / 'model.onnx', segmentor, fixed, output=request.param)
    labels = inference_model(segmentor, image).pred_sem_seg.data[0].numpy()
    return Work(tmp_path, labels, tiny.CLASSES, tiny.PALETTE)


@pytest.fixture(scope='module')
def of_lrformer(tmp_path_factory) -> Work:
    """A shallow LRFormer, all of whose weights are drawn, exported as users do."""
    pytest.importorskip('onnxscript', reason='the extra "export" is not installed')
    folder = tmp_path_factory.mktemp('lrformer')
    torch.manual_seed(0)
    model = init_model(config_file('lrformer-n_scenes-128x128'), device='cpu', cfg_options=SHALLOW)
    parity.draw_weights(model)
    with pytest.MonkeyPatch.context() as patch:  # see test_export/conftest.py
        patch.setattr(logging.getLogger('torch.__trace'), 'disabled', True)
        Export(model).write(folder / 'model.onnx', 'onnx')
    image, _ = draw_scene(np.random.default_rng(0), (97, 130))
    cv2.imwrite(str(folder / 'picture.png'), image)
    labels = inference_model(model, image).pred_sem_seg.data[0].numpy()
    return Work(folder, labels, model.dataset_meta['classes'], model.dataset_meta['palette'])


def test_the_example_without_torch(work):
    program = (
        "import runpy, sys; sys.modules['torch'] = None; sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    files = [str(work.folder / name) for name in ('model.onnx', 'picture.png', 'result.png')]
    command = [sys.executable, '-c', program, str(EXAMPLES / 'segment_onnx.py'), *files]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    seen = np.unique(work.labels)
    assert len(seen) >= 3 and all(work.classes[i] in shown.stdout for i in seen)
    from PIL import Image

    result = Image.open(work.folder / 'result.png')
    assert (np.asarray(result) == work.labels).mean() > 0.999
    assert result.getpalette()[: 3 * len(work.palette)] == sum(map(list, work.palette), [])


class Handler(SimpleHTTPRequestHandler):
    """Serves the page, a model and a picture, and takes what the page found."""

    def __init__(self, *args, files, results, **kwargs) -> None:
        self.files, self.results = files, results
        super().__init__(*args, directory=str(EXAMPLES / 'browser'), **kwargs)

    def translate_path(self, path):
        name = path.lstrip('/')
        return str(self.files[name]) if name in self.files else super().translate_path(path)

    def do_POST(self):
        self.results.put(json.loads(self.rfile.read(int(self.headers['Content-Length']))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.mark.skipif(BROWSER is None, reason='there is no Chromium')
@pytest.mark.skipif(not WEB.is_dir(), reason='onnxruntime-web is not there: npm install in examples/browser')
def test_the_page_in_a_browser(work):
    files = {name: work.folder / name for name in ('model.onnx', 'picture.png')}
    results, files['driver.html'] = queue.Queue(), Path(__file__).with_name('driver.html')
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, files=files, results=results))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = ['--headless', '--no-sandbox', '--disable-gpu', f'--user-data-dir={work.folder / "profile"}']
    address = f'http://127.0.0.1:{server.server_port}/driver.html'
    browser = subprocess.Popen(
        [BROWSER, *options, '--remote-debugging-port=0', address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        result = results.get(timeout=300)
    finally:
        browser.kill()
        browser.wait()
        server.shutdown()
    assert result.get('error') is None and result['state'].endswith(' ms'), result
    assert result['size'] == list(work.labels.shape)
    assert result['legend'] == [work.classes[i] for i in np.unique(work.labels)]
    shown = np.array(result['pixels']).reshape(*work.labels.shape, 4)[..., :3]
    image = cv2.imread(str(work.folder / 'picture.png'))[..., ::-1].astype(float)
    blends = [np.abs(shown - (image + colour) / 2).max(axis=-1) for colour in work.palette]
    assert np.min(blends, axis=0).max() <= 1
    assert (np.argmin(blends, axis=0) == work.labels).mean() > 0.999
