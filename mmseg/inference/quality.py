"""Switches that trade a trained model's exactness for speed."""

from mmcv.cnn import ConvModule
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmseg.engine.amp import amp_dtype

NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)


def fuse_batch_norms(model: nn.Module) -> int:
    """Fold each batch norm into the convolution that it follows, in eval mode; how many that were."""
    count = 0
    for module in list(model.modules()):
        if isinstance(module, nn.Sequential):
            names = list(module._modules)
            pairs = list(zip(names, names[1:], strict=False))
        elif isinstance(module, ConvModule) and module.with_norm and module.order[:2] == ('conv', 'norm'):
            pairs = [('conv', module.norm_name)]
        else:
            continue
        for conv, norm in pairs:
            if type(module._modules[conv]) is nn.Conv2d and isinstance(module._modules[norm], NORMS):
                module._modules[conv] = fuse_conv_bn_eval(module._modules[conv], module._modules[norm])
                module._modules[norm] = nn.Identity()
                count += 1
    return count


def half_precision(model: nn.Module) -> None:
    """Weights of half precision, in place: bfloat16 where the device computes in it, else float16."""
    model.to(amp_dtype())


def compile_parts(model: nn.Module) -> None:
    """Compile what computes, backbone and head, in place; the first images of each size take longer."""
    model.backbone.compile(dynamic=True)
    model.decode_head.compile(dynamic=True)
