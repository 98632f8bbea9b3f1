"""What an exported file says about itself: one entry, ``lrformer``, a JSON object, in the file's metadata."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields

from torch import nn

from mmseg.version import __version__

KEY = 'lrformer'
FORMAT = 1  # raised when a program that knows the former one would misread a file


@dataclass(frozen=True)
class Metadata:
    """All that a program needs to feed an exported network and to read what it gives.

    Attributes:
        input: 'normalised', float32 B x channels x H x W (``mean`` taken off, divided by ``std``), or 'image', uint8
            B x H x W x channels, as loaded; then normalisation and resizing are in the graph.
        output: 'scores', float32 B x num_classes x H/8 x W/8 (or whatever the head's stride is); 'masks', class logits
            B x Q x (num_classes + 1), "no object" last, and mask logits B x Q x H/4 x W/4; 'labels', B x H x W; 'top1',
            the same and the probability of that label, B x H x W.
        channel_order: of what is fed, 'RGB' or 'BGR'; None where images are no colours.
        mean, std: one number a channel, on the scale 0 to 255; empty without normalisation.
        num_classes, classes, palette: of the labels; names and colours (RGB) are empty where nobody knows them.
        threshold: of the probability of class 1, where there is one score for two classes; else None.
        align_corners: of the resize of scores to labels.
        size_divisor: sides must be padded to multiples of it (at the bottom and right, with zeros after normalisation).
        batch, height, width: what the file is fixed to; None where it takes any.
        min_side: the smallest height and width.
        precision: of the weights: 'fp32', 'fp16' or 'bf16'.
        weights_sha256: of the names, shapes and values of the float32 weights that it was made from.
        pipeline, test_cfg: the config's, as plain data; None where they are not.
        model: the config's name.
        target: what the file was made for.
        version: of this package.
        format: of this entry.
    """

    input: str
    output: str
    channel_order: str | None
    mean: list[float]
    std: list[float]
    num_classes: int
    classes: list[str]
    palette: list[list[int]]
    threshold: float | None
    align_corners: bool
    size_divisor: int
    batch: int | None
    height: int | None
    width: int | None
    min_side: int
    precision: str
    weights_sha256: str
    pipeline: list[dict] | None
    test_cfg: dict | None
    model: str
    target: str
    version: str = __version__
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None, source: str) -> 'Metadata':
        """The entry of a file.

        Raises:
            ValueError: the file has none, or one that this version does not know; the message names ``source``.
        """
        if not text:
            raise ValueError(
                f'{source}: its metadata has no entry {KEY!r}; it was not written by `lrformer export`, which states '
                'there how to feed it'
            )
        try:
            entry = json.loads(text)
            form, version = entry['format'], entry['version']
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f'{source}: the entry {KEY!r} of its metadata is damaged: {text[:80]!r}') from error
        if form != FORMAT:
            raise ValueError(
                f'{source}: exported by lrformer {version} in format {form}, this is {__version__}, which reads format '
                f'{FORMAT}: {"update lrformer" if form > FORMAT else "export the model again"}'
            )
        try:
            return cls(**{field.name: entry[field.name] for field in fields(cls)})
        except KeyError as error:
            raise ValueError(f'{source}: the entry {KEY!r} of its metadata lacks {error}') from error


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 of a model's parameters and buffers: names, types, shapes and values, in the order of names."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        value = value.detach().cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        digest.update(value.view(-1).numpy().tobytes())
    return digest.hexdigest()
