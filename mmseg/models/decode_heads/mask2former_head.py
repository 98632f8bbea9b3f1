"""The decode head of LRFormer+: a set of queries, each of which finds one segment and names its class.

Source: Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation", CVPR 2022
(arXiv 2112.01527). Maps are B x C x H x W, tokens B x N x C; Q queries.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from ..layers import FFN, Linear, MultiheadAttention, sine_positional_encoding
from ..utils import PretrainedModule, resize
from .decode_head import stack_labels, with_in_channels
from .mask2former_config import accepts_mmdet
from .pixel_decoder import PixelDecoder


class DecoderLayer(nn.Module):
    """Masked attention to a map, attention among the queries, and an FFN, each residual: B x Q x C -> B x Q x C."""

    recordable = True

    def __init__(self, dim: int, num_heads: int, ffn_channels: int) -> None:
        super().__init__()
        self.cross_attn = MultiheadAttention(dim, num_heads)
        self.self_attn = MultiheadAttention(dim, num_heads)
        self.ffn = FFN(dim, ffn_channels)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))

    def forward(self, x: Tensor, query_pos: Tensor, memory: Tensor, pos: Tensor, attend: Tensor) -> Tensor:
        x = self.norms[0](x + self.cross_attn(x + query_pos, memory + pos, memory, attend))
        x = self.norms[1](x + self.self_attn(x + query_pos, x + query_pos, x))
        return self.norms[2](x + self.ffn(x))


@MODELS.register_module()
class Mask2FormerHead(PretrainedModule):
    """Mask classification: Q queries, each with scores over the classes and "no object", and with a mask.

    All defaults are the published ones: a config needs ``type`` and ``num_classes``. One that names mmdet's parts is
    taken as well (``mask2former_config.py``).

    Args:
        in_channels: channels of the maps that ``in_index`` selects; EncoderDecoder fills it in from the
            backbone where a config leaves it out.
        num_classes: classes, "no object" not counted.
        in_index: the backbone's maps to take, finest first.
        feat_channels: width C of the head; a multiple of 32.
        num_queries: queries Q, the most segments that an image can have.
        num_levels: how many of the coarsest maps the queries attend to, in turn.
        num_heads: of all attention.
        num_points: points per level of the deformable attention.
        num_encoder_layers, num_decoder_layers: layers of the pixel decoder and of the queries' decoder.
        encoder_ffn_channels, decoder_ffn_channels: hidden widths of their FFNs.
        loss_decode: the loss, ``dict(type='Mask2FormerLoss', ...)``.
        ignore_index: label that is no class.
        align_corners: of the resize of masks to the image.

    Raises:
        ValueError: for a size that cannot be.
        TypeError: for an unknown key, with the key to use where there is one.
    """

    IN_INDEX = (0, 1, 2, 3)

    @accepts_mmdet
    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        num_classes: int,
        in_index: Sequence[int] = IN_INDEX,
        feat_channels: int = 256,
        num_queries: int = 100,
        num_levels: int = 3,
        num_heads: int = 8,
        num_points: int = 4,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 9,
        encoder_ffn_channels: int = 1024,
        decoder_ffn_channels: int = 2048,
        loss_decode: dict = dict(type='Mask2FormerLoss'),  # noqa: B006 (read only)
        ignore_index: int = 255,
        align_corners: bool = False,
        init_cfg: dict | None = None,
        **unknown,
    ) -> None:
        super().__init__(init_cfg)
        _reject(unknown)
        _check_sizes(in_channels, in_index, num_classes, num_levels, feat_channels, num_heads)
        _check_counts(
            num_queries=num_queries, num_encoder_layers=num_encoder_layers, num_decoder_layers=num_decoder_layers
        )
        self.in_index = tuple(in_index)
        self.num_classes = self.out_channels = num_classes
        self.num_levels = num_levels
        self.ignore_index = ignore_index
        self.align_corners = align_corners

        self.pixel_decoder = PixelDecoder(
            in_channels, feat_channels, num_levels, num_encoder_layers, num_heads, num_points, encoder_ffn_channels
        )
        layers = [DecoderLayer(feat_channels, num_heads, decoder_ffn_channels) for _ in range(num_decoder_layers)]
        self.transformer_decoder = nn.ModuleDict(
            dict(layers=nn.ModuleList(layers), post_norm=nn.LayerNorm(feat_channels))
        )
        self.query_feat = nn.Embedding(num_queries, feat_channels)
        self.query_embed = nn.Embedding(num_queries, feat_channels)  # where queries are, to attention
        self.level_embed = nn.Embedding(num_levels, feat_channels)
        self.cls_embed = Linear(feat_channels, num_classes + 1)
        self.mask_embed = nn.Sequential(
            *(Linear(feat_channels, feat_channels), nn.ReLU()),
            *(Linear(feat_channels, feat_channels), nn.ReLU()),
            Linear(feat_channels, feat_channels),
        )
        self.loss_decode = MODELS.build({'ignore_index': ignore_index, **loss_decode})

    @classmethod
    def follow_backbone(cls, cfg: dict, backbone: nn.Module) -> dict:
        return with_in_channels(cls, cfg, backbone)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The backbone's maps -> class logits B x Q x (classes + 1) and mask logits B x Q x H x W at the finest
        map's size, each before the first decoder layer and after every one."""
        mask_features, predictions = self.decode(inputs)
        class_logits, embeddings = zip(*predictions, strict=True)
        return list(class_logits), [mask_logits(x, mask_features) for x in embeddings]

    def decode(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Iterator[tuple[Tensor, Tensor]]]:
        """The pixels' features B x C x H x W, and one prediction of :meth:`forward` after the other: class logits, and
        embeddings B x Q x C, whose product with the features is the mask logits."""
        mask_features, maps = self.pixel_decoder([inputs[i] for i in self.in_index])
        return mask_features, self._predictions(mask_features, maps)

    def _predictions(self, mask_features: Tensor, maps: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        memories = [
            x.flatten(2).transpose(1, 2) + level for x, level in zip(maps, self.level_embed.weight, strict=True)
        ]
        shapes = [x.shape[-2:] for x in maps]
        query_pos = self.query_embed.weight
        pos = [sine_positional_encoding(*s, maps[0].shape[1], maps[0].device).to(query_pos.dtype) for s in shapes]
        with torch.no_grad():  # a resize of masks is the resize of their features
            features = [resize(mask_features, size=shape) for shape in shapes]
        x = self.query_feat.weight.expand(mask_features.shape[0], -1, -1)

        prediction = self.predict_segments(x)
        yield prediction
        for i, layer in enumerate(self.transformer_decoder['layers']):
            level = i % self.num_levels
            x = layer(x, query_pos, memories[level], pos[level], attended_cells(prediction[1], features[level]))
            prediction = self.predict_segments(x)
            yield prediction

    def predict_segments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries B x Q x C -> their class logits and their mask embeddings."""
        x = self.transformer_decoder['post_norm'](x)
        return self.cls_embed(x), self.mask_embed(x)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: list[SegDataSample], train_cfg: dict) -> dict:
        """The backbone's maps and the annotations -> the losses by name."""
        names = [sample.metainfo.get('img_path', f'image {i}') for i, sample in enumerate(batch_data_samples)]
        mask_features, predictions = self.decode(inputs)
        class_logits, embeddings = zip(*predictions, strict=True)
        return self.loss_decode(class_logits, embeddings, mask_features, stack_labels(batch_data_samples), names)

    def segments(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The last prediction of :meth:`forward`, without keeping the others."""
        mask_features, predictions = self.decode(inputs)
        for prediction in predictions:
            class_logits, embeddings = prediction
        return class_logits, mask_logits(embeddings, mask_features)

    def predict(self, inputs: Sequence[Tensor], batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """The backbone's maps -> scores at the network's input size, B x classes x H x W.

        A score is the sum over queries of class probability times mask probability: 0 or more, and, as several queries
        may find the same class, not bound to add up to 1. Holds all queries' masks and all classes' scores at that
        size; EncoderDecoder's prediction does not.
        """
        meta = batch_img_metas[0]
        size = (meta.get('pad_shape') or meta['img_shape'])[:2]
        class_logits, masks = self.segments(inputs)
        masks = resize(masks, size=size, align_corners=self.align_corners).sigmoid()
        return torch.einsum('bqc,bqhw->bchw', class_logits.softmax(dim=-1)[..., :-1], masks)


def mask_logits(embeddings: Tensor, features: Tensor) -> Tensor:
    """B x Q x C and B x C x H x W -> B x Q x H x W."""
    return torch.einsum('bqc,bchw->bqhw', embeddings, features)


@torch.no_grad()
def attended_cells(embeddings: Tensor, features: Tensor) -> Tensor:
    """The cells of a map with these features that each query's mask covers, B x Q x HW; all where it covers none."""
    covered = mask_logits(embeddings, features).flatten(2) >= 0
    return covered | ~covered.any(dim=-1, keepdim=True)


def _check_sizes(in_channels, in_index, num_classes, num_levels, feat_channels, num_heads) -> None:
    if len(in_channels) != len(in_index):
        raise ValueError(
            f'Mask2FormerHead: in_channels={list(in_channels)} gives not one number for each of in_index={in_index}'
        )
    if not 1 <= num_levels <= len(in_index):
        raise ValueError(
            f'Mask2FormerHead: num_levels={num_levels} of the {len(in_index)} maps of in_index={in_index}; '
            f'make it 1 to {len(in_index)}'
        )
    if num_classes < 2:
        raise ValueError(
            f'Mask2FormerHead: num_classes={num_classes} leaves nothing to tell apart, as the background is a class '
            'too; two classes are written as num_classes=2'
        )
    if feat_channels % 32 or feat_channels % num_heads:
        raise ValueError(
            f'Mask2FormerHead: feat_channels={feat_channels} must be a multiple of 32 (the groups of its norms) and of '
            f'num_heads={num_heads}'
        )


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f'Mask2FormerHead: {name}={value} must be at least 1')


def _reject(unknown: dict) -> None:
    instead = {'channels': 'feat_channels'}
    for key in unknown:
        hint = f'; write {instead[key]} instead' if key in instead else ''
        raise TypeError(f'Mask2FormerHead: unknown key {key!r}{hint}')
