"""Any semantic-segmentation model of transformers as a segmentor."""

import logging
from collections.abc import Sequence

from mmengine.logging import print_log
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from ..decode_heads.decode_head import stack_labels
from .base import prefixed
from .library_segmentor import LibrarySegmentor, library


@MODELS.register_module()
class HFSegmentor(LibrarySegmentor):
    """A network of transformers: SegFormer, UPerNet, BEiT, DPT; with queries Mask2Former, MaskFormer, EoMT.

    Networks that score pixels learn by the losses of ``decode_head``; those with queries by their own, from the
    masks and classes of the label maps. Needs the extra ``hf``.

    Args:
        name: a repository of the hub, or a folder, whose config is read now, and whose weights when training starts
            (:meth:`init_weights`): all that fits.
        config: values of the network's config. Without ``name`` all of them, with ``model_type``; beside it those that
            differ.
        decode_head: ``num_classes``, and what else :class:`~mmseg.models.decode_heads.ScoresHead` takes; with queries
            :class:`~mmseg.models.decode_heads.SegmentsHead`.
        data_preprocessor, test_cfg, init_cfg, freeze: as for :class:`EncoderDecoder`. The parts to freeze are below
            ``network``.

    Raises:
        ValueError: neither ``name`` nor ``config``, or a network that does not segment.
    """

    def __init__(
        self,
        name: str | None = None,
        config: dict | None = None,
        *,
        decode_head: dict,
        data_preprocessor: dict | nn.Module | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
        freeze: Sequence[str] = (),
    ) -> None:
        super().__init__(data_preprocessor, test_cfg, init_cfg)
        self.name = name
        self.config = _config_of(name, dict(config or {}), dict(decode_head))
        self.auto, self.predicts_masks = _kind_of(self.config)
        kind = 'SegmentsHead' if self.predicts_masks else 'ScoresHead'
        self.decode_head = MODELS.build(dict(type=kind) | dict(decode_head))
        self.network = self.auto.from_config(self.config)
        self.complete(freeze)

    @property
    def own_config(self) -> dict:
        """What a config needs to build the same network without the hub."""
        local = ('_name_or_path', 'transformers_version')
        return dict(name=None, config={k: v for k, v in self.config.to_diff_dict().items() if k not in local})

    def init_weights(self) -> None:
        if self.name is not None:
            options = dict(config=self.config, ignore_mismatched_sizes=True, output_loading_info=True)
            pretrained, facts = self.auto.from_pretrained(self.name, **options)
            self.network.load_state_dict(pretrained.state_dict())
            left = [entry if isinstance(entry, str) else entry[0] for key in ('missing_keys', 'mismatched_keys')
                    for entry in facts[key]]  # fmt: skip
            if left:
                text = f'{self.name}: left at their initial values: {", ".join(sorted(left))}'
                print_log(text, logger='current', level=logging.WARNING)
        super().init_weights()

    def _scores(self, inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        outputs = self._run(inputs)
        if self.predicts_masks:
            return outputs.class_queries_logits, outputs.masks_queries_logits
        return outputs.logits

    def _run(self, inputs: Tensor, **labels):
        try:
            return self.network(pixel_values=self.as_parameters(inputs), **labels)
        except (RuntimeError, ValueError) as error:
            side, shape = getattr(self.config, 'image_size', None), tuple(inputs.shape[-2:])
            size = (side, side) if isinstance(side, int) else tuple(side or shape)
            if shape == size:
                raise
            raise ValueError(
                f'HFSegmentor: {self.config.model_type} failed on images of {shape[0]}x{shape[1]}; its '
                f'config.image_size is {size[0]}x{size[1]}: train on crops of it, and test with '
                f"test_cfg=dict(mode='slide', crop_size={size}, stride={size})"
            ) from error

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict:
        if not self.predicts_masks:
            return super().loss(inputs, data_samples)
        masks, classes = self.decode_head(stack_labels(data_samples))
        outputs = self._run(inputs, mask_labels=masks, class_labels=classes)
        return prefixed('decode', dict(loss_segments=outputs.loss.sum()))


def _config_of(name: str | None, values: dict, decode_head: dict):
    """transformers' config, for as many classes as the head has."""
    transformers = library('transformers', 'hf')
    if (name is None) == ('model_type' not in values):
        raise ValueError(
            "HFSegmentor: write name='OWNER/REPOSITORY' (or a folder), or config=dict(model_type='segformer', ...)"
        )
    values |= dict(num_labels=decode_head.get('out_channels') or decode_head['num_classes'])
    if name is not None:
        config = transformers.AutoConfig.from_pretrained(name, **values)
    else:
        config = transformers.AutoConfig.for_model(**values)
    if hasattr(config, 'use_auxiliary_head'):
        config.use_auxiliary_head = False  # trained by the network's own loss alone
    return config


def _kind_of(config) -> tuple[type, bool]:
    """The class of transformers that makes networks of such a config, and whether they have queries."""
    transformers = library('transformers', 'hf')
    pixels, queries = transformers.AutoModelForSemanticSegmentation, transformers.AutoModelForUniversalSegmentation
    for auto, predicts_masks in ((pixels, False), (queries, True)):
        if type(config) in auto._model_mapping:
            return auto, predicts_masks
    known = sorted({kind.model_type for auto in (pixels, queries) for kind in auto._model_mapping})
    raise ValueError(
        f'HFSegmentor: transformers has no segmentation model of type {config.model_type!r}; it has {", ".join(known)}'
    )
