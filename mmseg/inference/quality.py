"""Switches that trade a trained model's exactness for speed."""

import torch
from mmcv.cnn import ConvModule
from mmengine.logging import print_log
from timm.layers import LayerScale2d
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmseg.engine.amp import amp_dtype
from mmseg.models.backbones.lrformer import Block


def fuse_layers(model: nn.Module) -> None:
    """Fold batch norms and layer scales into the layers before them, in place, in eval mode, and log how many."""
    norms, scales = fuse_batch_norms(model), fuse_layer_scales(model)
    print_log(f'folded {norms} batch norms and {scales} layer scales into the layers before them', logger='current')


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
            if type(module._modules[conv]) is nn.Conv2d and _is_fixed_batch_norm(module._modules[norm]):
                module._modules[conv] = fuse_conv_bn_eval(module._modules[conv], module._modules[norm])
                module._modules[norm] = nn.Identity()
                count += 1
    return count


def _is_fixed_batch_norm(module: nn.Module) -> bool:
    """Any kind, also what mmengine puts in place of a SyncBN on one process, but none that goes by the batch."""
    return isinstance(module, _BatchNorm) and module.running_mean is not None


@torch.no_grad()
def fuse_layer_scales(model: nn.Module) -> int:
    """Fold the scales of LRFormer's blocks into the last layer of their branches; how many that were."""
    count = 0
    for block in [module for module in model.modules() if isinstance(module, Block)]:
        for name, last in (('ls1', block.attn.proj), ('ls2', block.mlp.fc2)):
            if isinstance(scale := getattr(block, name), LayerScale2d):
                last.weight.mul_(scale.gamma.view(-1, *[1] * (last.weight.ndim - 1)))
                last.bias.mul_(scale.gamma)
                setattr(block, name, nn.Identity())
                count += 1
    return count


def half_precision(model: nn.Module) -> None:
    """Weights of half precision, in place: bfloat16 where the device computes in it, else float16."""
    model.to(amp_dtype())
