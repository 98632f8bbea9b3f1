import pytest

from mmseg.registry import DATASETS, MODELS, TRANSFORMS


@pytest.mark.parametrize(
    ('registry', 'kind', 'instead'),
    [
        (MODELS, 'Resnet', 'nearest to it are ResNet, '),
        (MODELS, 'SegFormerHead', 'nearest to it are SegformerHead'),
        (MODELS, 'DAHead', 'in its place, take OCRHead'),
        (MODELS, 'mmpretrain.ConvNeXt', "in its place, take dict(type='TIMMBackbone', model_name='convnext"),
        (MODELS, 'mit_b0', "take dict(type='MixVisionTransformer'"),
        (MODELS, 'mmdet.FPN', "'FPN' is"),
        (MODELS, 'Zzzzzzzzz', 'registry of mmseg'),
        (DATASETS, 'CustomDataset', 'take BaseSegDataset'),
        (TRANSFORMS, 'DefaultFormatBundle', 'take PackSegInputs'),
    ],
)
def test_unknown_types_say_in_one_line_what_to_write(registry, kind, instead):
    with pytest.raises(KeyError) as error:
        registry.build(dict(type=kind))
    (message,) = error.value.args
    assert message.startswith(f'{kind!r} is not in the ') and instead in message and '\n' not in message


def test_an_unknown_head_of_a_segmentor():
    with pytest.raises(KeyError, match='take OCRHead, context by attention'):
        MODELS.build(
            dict(type='EncoderDecoder', backbone=dict(type='LRFormer', variant='n'), decode_head=dict(type='CCHead'))
        )
