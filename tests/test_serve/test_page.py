"""The page in a browser: an image goes in, the overlay comes out."""

import base64

import cv2
import numpy as np

from mmseg.apis import inference_model

from ..chromium import chromium, needs_chromium  # noqa: F401
from .serving import served

pytestmark = needs_chromium
SHOWN = 'pixels(canvas, 96, 64).then(({data}) => [...data])'


def test_an_image_goes_in_and_its_classes_come_out(chromium, model, tmp_path):  # noqa: F811
    array = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    labels = inference_model(model, array).pred_sem_seg.data[0].numpy()
    names = model.dataset_meta['classes']
    found, counts = np.unique(labels, return_counts=True)
    expected = [names[label] for label in found[np.argsort(-counts, kind='stable')]]
    content = base64.b64encode(cv2.imencode('.png', array)[1]).decode()
    with served(model) as url:
        for width in (1280, 400):
            chromium.open(url + '/', width=width)
            chromium.wait('document.getElementById("model").options.length === 1')
            chromium.run(f'fetch("data:image/png;base64,{content}").then(r => r.blob()).then(segment)')
            chromium.wait('shown !== null')
            assert sorted(chromium.texts('#legend span')) == sorted(expected)
            assert chromium.run('document.documentElement.scrollWidth') <= width
        drawn = chromium.run(SHOWN)
        drawn = np.array(drawn, np.uint8).reshape(64, 96, 4)[..., :3]
        colors = np.array(model.dataset_meta['palette'])[labels]
        assert np.abs(drawn.astype(int) - (array[..., ::-1] * 0.5 + colors * 0.5)).max() <= 1

        first = int(np.where(np.array(names) == chromium.texts('#legend span')[0])[0][0])
        chromium.click('#legend input')  # its class is no longer drawn
        drawn = np.array(chromium.run(SHOWN), np.uint8).reshape(64, 96, 4)[..., :3]
        np.testing.assert_array_equal(drawn[labels == first], array[..., ::-1][labels == first])

        box = chromium.run(
            '(({left, top, width, height}) => [left, top, width, height])(canvas.getBoundingClientRect())'
        )
        point = f'clientX: {box[0] + box[2] * 10.5 / 96}, clientY: {box[1] + box[3] * 20.5 / 64}'
        chromium.run(f'canvas.onmousemove(new MouseEvent("mousemove", {{{point}}}))')
        assert chromium.texts('#tip')[0].startswith(names[labels[20, 10]] + ' ')

        chromium.run('document.querySelector("#examples button").click()')
        chromium.wait('shown.photo.width === 384')
        assert not chromium.errors
        chromium.run('segment(new Blob(["no image"]))')
        chromium.wait('document.getElementById("message").className === "bad"')
        assert 'not an image' in chromium.texts('#message')[0]
        assert all('400' in error for error in chromium.errors)
        chromium.errors.clear()
