"""A tiny segmentor, and its file as `lrformer export` would write it, put together without a trace."""

from dataclasses import replace

import onnx
import torch
from mmengine.config import Config
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from mmseg.export import KEY
from mmseg.export.describing import describe
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS

CLASSES, PALETTE = ('sky', 'road', 'car'), [[70, 130, 180], [128, 64, 128], [0, 0, 142]]
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='AlignResize', scale=(96, 64), size_divisor=32),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
DATASET = dict(
    type='BaseSegDataset', metainfo=dict(classes=CLASSES, palette=PALETTE), pipeline=PIPELINE, test_mode=True
)


@MODELS.register_module(force=True)
class PatchBackbone(nn.Module):
    """One convolution at stride 8."""

    out_channels = (8,)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 8, 8)

    def forward(self, x):
        return (self.conv(x),)


def config() -> Config:
    return Config(
        dict(
            model=dict(
                type='EncoderDecoder',
                data_preprocessor=dict(
                    type='SegDataPreProcessor',
                    mean=[123.675, 116.28, 103.53],
                    std=[58.395, 57.12, 57.375],
                    bgr_to_rgb=True,
                ),
                backbone=dict(type='PatchBackbone'),
                decode_head=dict(type='FCNHead', channels=8, num_convs=0, concat_input=False, num_classes=len(CLASSES)),
            ),
            test_dataloader=dict(
                batch_size=1, num_workers=0, dataset=DATASET, sampler=dict(type='DefaultSampler', shuffle=False)
            ),
            test_evaluator=dict(type='IoUMetric'),
            test_cfg=dict(type='TestLoop'),
            default_scope='mmseg',
        )
    )


def model() -> EncoderDecoder:
    """The segmentor in PyTorch, with weights that tell its three classes apart."""
    torch.manual_seed(0)
    built = MODELS.build(config().model).eval()
    nn.init.normal_(built.decode_head.conv_seg.weight)
    built.dataset_meta, built.cfg = dict(classes=CLASSES, palette=PALETTE), config()
    return built


def write(path, segmentor, fixed=(None, None, None), entry=None, **facts) -> str:
    """Its file. ``fixed``: batch, height, width; ``facts``: what else the metadata shall say, ``entry`` in all."""
    fixed_by_name = dict(zip(('batch', 'height', 'width'), fixed, strict=True))
    metadata = describe(segmentor, 'scores', fixed_by_name, 'onnx', 'fp32')
    convs = [segmentor.backbone.conv, segmentor.decode_head.conv_seg]
    weights = [
        numpy_helper.from_array(p.detach().numpy(), f'{i}{n}')
        for i, c in enumerate(convs)
        for n, p in c.named_parameters()
    ]
    nodes = [
        helper.make_node('Conv', ['image', '0weight', '0bias'], ['map'], strides=[8, 8], kernel_shape=[8, 8]),
        helper.make_node('Conv', ['map', '1weight', '1bias'], ['scores'], kernel_shape=[1, 1]),
    ]
    shape = [fixed[0] or 'batch', 3, fixed[1] or 'height', fixed[2] or 'width']
    outputs = [helper.make_tensor_value_info('scores', TensorProto.FLOAT, [shape[0], len(CLASSES), 'h', 'w'])]
    if facts.get('output') == 'masks':  # three queries, each sure of one class; their masks are the scores
        logits = 5 * torch.eye(3, 4)[None]
        weights.append(numpy_helper.from_array(logits.numpy(), 'class_logits'))
        outputs.insert(0, helper.make_tensor_value_info('class_logits', TensorProto.FLOAT, [1, 3, 4]))
    inputs = [helper.make_tensor_value_info('image', TensorProto.FLOAT, shape)]
    file = helper.make_model(
        helper.make_graph(nodes, 'tiny', inputs, outputs, weights),
        opset_imports=[helper.make_opsetid('', 18)],
        ir_version=8,
    )
    helper.set_model_props(file, {KEY: replace(metadata, **facts).to_json() if entry is None else entry})
    onnx.save(file, path)
    return str(path)


def write_labeller(path, segmentor) -> str:
    """A file that gives labels: the colours' brightest channel, whatever the segmentor."""
    metadata = describe(segmentor, 'labels', dict(batch=None, height=None, width=None), 'onnx', 'fp32')
    nodes = [
        helper.make_node('Cast', ['image'], ['numbers'], to=TensorProto.FLOAT),
        helper.make_node('ArgMax', ['numbers'], ['brightest'], axis=3, keepdims=0),
        helper.make_node('Cast', ['brightest'], ['labels'], to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(
        nodes,
        'labeller',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, ['b', 'h', 'w', 3])],
        [helper.make_tensor_value_info('labels', TensorProto.UINT8, ['b', 'h', 'w'])],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8)
    helper.set_model_props(file, {KEY: metadata.to_json()})
    onnx.save(file, path)
    return str(path)
