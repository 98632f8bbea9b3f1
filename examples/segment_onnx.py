"""Segment a picture with an exported model. Needs onnxruntime, numpy and pillow, nothing else of this project.

    lrformer export MODEL --checkpoint FILE --to onnx --out model.onnx
    python examples/segment_onnx.py model.onnx street.jpg street_segmented.png

The model sees the picture at its own size; for the labels that `lrformer predict` gives, resize it first as the
config's test pipeline does (AlignResize: sides that are multiples of 32). A file of `--output labels` resizes itself.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image


def segment(session: onnxruntime.InferenceSession, facts: dict, picture: Image.Image) -> np.ndarray:
    """An RGB picture -> its class indices, H x W."""
    x = np.asarray(picture)[None]
    if facts['input'] == 'normalised':
        x = x[..., ::-1] if facts['channel_order'] == 'BGR' else x
        x = (x - np.float32(facts['mean'] or 0)) / np.float32(facts['std'] or 1)
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))  # 1 x 3 x H x W
    outputs = session.run(None, {session.get_inputs()[0].name: x})
    if facts['output'] in ('labels', 'top1'):
        return outputs[0][0]
    if facts['output'] == 'scores':  # of each class at a lower resolution: enlarge them, the highest wins
        scores = np.stack([enlarge(scores, picture.size) for scores in outputs[0][0]])
        if facts['threshold'] is not None:  # one score, whose sigmoid is the probability of class 1
            return (1 / (1 + np.exp(-scores[0])) > facts['threshold']).astype(int)
        return scores.argmax(axis=0)
    # Of each query, its class and its mask: the sum over queries of class probability times mask probability.
    classes, masks = outputs[0][0], np.stack([enlarge(mask, picture.size) for mask in outputs[1][0]])
    classes = np.exp(classes - classes.max(axis=1, keepdims=True))
    classes = (classes / classes.sum(axis=1, keepdims=True))[:, :-1]  # the last one is "no object"
    return np.einsum('qc,qhw->chw', classes, 1 / (1 + np.exp(-masks))).argmax(axis=0)


def enlarge(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """h x w -> H x W for a size (W, H), by bilinear interpolation."""
    return np.asarray(Image.fromarray(scores.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))


def main(model: str, source: str, target: str) -> None:
    session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
    facts = json.loads(session.get_modelmeta().custom_metadata_map['lrformer'])
    labels = segment(session, facts, Image.open(source).convert('RGB'))
    coloured = Image.fromarray(labels.astype(np.uint8), mode='P')
    coloured.putpalette(np.array(facts['palette'], np.uint8).tobytes())
    coloured.save(target)  # pixel values are class indices
    for index in np.unique(labels):
        print(f'{(labels == index).mean():6.1%}  {facts["classes"][index]}')


if __name__ == '__main__':
    if len(sys.argv) != 4 or not sys.argv[3].endswith('.png'):
        sys.exit('usage: python segment_onnx.py MODEL.onnx PICTURE RESULT.png')
    main(*sys.argv[1:])
