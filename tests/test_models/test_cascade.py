import pytest
import torch
from mmengine.structures import PixelData

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from .. import upstream_configs


def cascade(**cfg):
    heads = [
        upstream_configs.head('FCNHead', 5, in_channels=8, channels=8, norm_cfg=None, loss_weight=0.4),
        upstream_configs.head('OCRHead', 5, in_channels=8, channels=8, ocr_channels=4, norm_cfg=None),
    ]
    backbone = dict(type='UNet', base_channels=8, num_stages=2, strides=(1, 1), enc_num_convs=(1, 1))
    backbone |= dict(dec_num_convs=(1,), downsamples=(True,), enc_dilations=(1, 1), dec_dilations=(1,))
    return dict(type='CascadeEncoderDecoder', num_stages=2, backbone=backbone, decode_head=heads) | cfg


@pytest.mark.parametrize('test_cfg', [dict(mode='whole'), dict(mode='slide', crop_size=(16, 16), stride=(8, 8))])
def test_each_head_takes_the_scores_of_the_one_before(test_cfg):
    torch.manual_seed(0)
    model = MODELS.build(cascade(test_cfg=test_cfg, auxiliary_head=cascade()['decode_head'][0]))
    image = torch.randn(2, 3, 24, 24)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(5, (1, 24, 24)))) for _ in image]
    losses = model.train()(image, samples, mode='loss')
    kinds = ('loss_ce', 'acc_seg')
    assert set(losses) == {f'{part}.{kind}' for part in ('decode_0', 'decode_1', 'aux') for kind in kinds}
    model.eval()
    maps = model.extract_feat(image)
    first, second = model.decode_head
    assert torch.equal(model(image, mode='tensor'), second(maps, first(maps)))
    assert isinstance(model.decode_head, torch.nn.ModuleList) and model.num_classes == 5
    with torch.no_grad():
        assert [sample.pred_sem_seg.shape for sample in model(image, mode='predict')] == [(24, 24)] * 2


def test_heads_and_stages_are_as_many():
    for wrong in (dict(num_stages=3), dict(decode_head=cascade()['decode_head'][0])):
        with pytest.raises(AssertionError, match='decode_head must be a list of num_stages='):
            MODELS.build(cascade(**wrong))
