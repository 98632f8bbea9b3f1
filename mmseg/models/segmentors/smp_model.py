"""Any model of segmentation_models_pytorch as a segmentor."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.registry import MODELS

from .library_segmentor import LibrarySegmentor, library

# Of all architectures; what stands here for them.
SET_HERE = {
    'classes': 'write decode_head=dict(num_classes=...) instead',
    'activation': 'leave it out: scores are logits',
    'aux_params': 'leave it out: images are not classified here',
}


@MODELS.register_module()
class SMPModel(LibrarySegmentor):
    """An architecture and an encoder of segmentation_models_pytorch, by their names. Needs the extra ``smp``.

    Images may have any size: sides that the network does not take are padded, and their scores cropped.

    Args:
        arch: 'Unet', 'FPN', 'DeepLabV3Plus', 'Segformer', ...
        encoder_name: 'resnet34', ... or 'tu-' before a network of timm, as 'tu-lrformer_small'.
        decode_head: ``num_classes`` and what else :class:`~mmseg.models.decode_heads.ScoresHead` takes.
        encoder_weights: that library's name of pretrained weights, or with 'tu-' True; they are fetched when training
            starts (:meth:`init_weights`). None for random ones.
        in_channels: of the image.
        data_preprocessor, test_cfg, init_cfg, freeze: as for :class:`EncoderDecoder`. The parts to freeze are below
            ``network``: 'network.encoder'.
        options: other arguments of the architecture, and with 'tu-' of ``timm.create_model``.

    Raises:
        TypeError: an option that does not exist.
        ValueError: an architecture or an encoder that does not.
    """

    def __init__(
        self,
        arch: str,
        encoder_name: str = 'resnet34',
        *,
        decode_head: dict,
        encoder_weights: str | bool | None = 'imagenet',
        in_channels: int = 3,
        data_preprocessor: dict | nn.Module | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
        freeze: Sequence[str] = (),
        **options,
    ) -> None:
        super().__init__(data_preprocessor, test_cfg, init_cfg)
        self.decode_head = MODELS.build(dict(type='ScoresHead') | dict(decode_head))
        self.in_channels, self.encoder_weights = in_channels, encoder_weights or None
        facts = dict(encoder_name=encoder_name, in_channels=in_channels, classes=self.decode_head.out_channels)
        self.make = partial(_architecture(arch, encoder_name, options), **facts, **options)
        self.network = self.make(encoder_weights=None)
        self.complete(freeze)

    def init_weights(self) -> None:
        if self.encoder_weights:
            pretrained = self.make(encoder_weights=self.encoder_weights)
            self.network.encoder.load_state_dict(pretrained.encoder.state_dict())
        super().init_weights()

    def _scores(self, inputs: Tensor) -> Tensor:
        height, width = inputs.shape[-2:]
        divisor = self.network.encoder.output_stride if self.network.requires_divisible_input_shape else 1
        right, bottom = -width % divisor, -height % divisor
        inputs = self.as_parameters(inputs)
        scores = self.network(F.pad(inputs, (0, right, 0, bottom)) if right or bottom else inputs)
        return scores[..., :height, :width]

    def convert_published(self, state_dict: dict, prefix: str) -> None:
        """Puts the entries of a model that segmentation_models_pytorch saved below ``network``, in place."""
        for part, _ in self.network.named_children():
            for name in [name for name in state_dict if name.startswith(f'{prefix}{part}.')]:
                state_dict[f'{prefix}network.{name[len(prefix) :]}'] = state_dict.pop(name)


def _architecture(arch: str, encoder_name: str, options: Mapping) -> Callable[..., nn.Module]:
    """The class of that name, after a look at its options: it ignores unknown ones itself."""
    smp = library('segmentation_models_pytorch', 'smp')
    kinds = {kind.__name__.lower(): kind for kind in smp.MODEL_ARCHITECTURES_MAPPING.values()}
    if arch.lower() not in kinds:
        raise ValueError(f'SMPModel: arch={arch!r} is none of {", ".join(kind.__name__ for kind in kinds.values())}')
    kind = kinds[arch.lower()]
    of_timm = encoder_name.startswith('tu-')
    encoders = smp.encoders.get_encoder_names()
    if not of_timm and encoder_name not in encoders:
        near = get_close_matches(encoder_name, encoders, n=3)
        hint = f'did you mean {" or ".join(near)}?' if near else "a network of timm is written as 'tu-NAME'"
        raise ValueError(f'SMPModel: there is no encoder {encoder_name!r}; {hint}')
    taken = [name for name, p in inspect.signature(kind).parameters.items() if p.kind is not p.VAR_KEYWORD]
    for key in options:
        if key in SET_HERE:
            raise TypeError(f'SMPModel: unknown key {key!r}; {SET_HERE[key]}')
        if key not in taken and not of_timm:
            others = ', '.join(name for name in taken if name not in SET_HERE)
            raise TypeError(f'SMPModel: unknown key {key!r}; {kind.__name__} takes {others}')
    return kind
