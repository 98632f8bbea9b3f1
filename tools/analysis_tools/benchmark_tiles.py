"""Time and peak memory of predict on one large picture: python tools/analysis_tools/benchmark_tiles.py CONFIG.

The picture is a mosaic of others, or of coloured noise. All is counted, from reading the file to written results.
``--against-whole`` compares labels instead: of tiles, and of the picture as one input at its own resolution.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, pairwise, product
from pathlib import Path

import cv2
import numpy as np
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg

require_own_mmseg()

from mmseg.apis import init_model  # noqa: E402
from mmseg.apis.predict import SAVE, Prediction  # noqa: E402
from mmseg.cli.predict import tile_option  # noqa: E402
from mmseg.engine.launch import load_config  # noqa: E402
from mmseg.inference import Segmentor, TiledSegmentor  # noqa: E402
from mmseg.inference.large_image import Decoded  # noqa: E402
from mmseg.inference.tiles import Cuts  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--checkpoint', metavar='FILE', help='weights [random ones]')
    parser.add_argument('--size', metavar=('H', 'W'), nargs=2, type=int, default=[10000, 10000], help='[10000 10000]')
    parser.add_argument('--pictures', metavar='FILE', nargs='+', default=[], help='what it is a mosaic of')
    parser.add_argument('--against-whole', action='store_true', help='compare labels')
    parser.add_argument('--tile', metavar='N', type=tile_option, default='auto')
    parser.add_argument('--overlap', metavar='N', type=int)
    parser.add_argument('--batch', metavar='N', type=int, default=1)
    parser.add_argument('--save', metavar='KIND', nargs='+', default=list(SAVE))
    parser.add_argument('--tta', action='store_true')
    parser.add_argument('--device', metavar='NAME')
    parser.add_argument('--cfg-options', metavar='KEY=VALUE', nargs='+', action='extend', default=[])
    args = parser.parse_args()

    model = init_model(load_config(args.config, args.cfg_options), args.checkpoint, args.device or 'cuda')
    picture = mosaic(args.pictures, *args.size)
    if args.against_whole:
        compare(model, picture, args)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / 'picture.jpg')
        cv2.imwrite(path, picture)
        del picture
        before, start = peak(), time.monotonic()
        options = dict(save=args.save, tile=args.tile, overlap=args.overlap, batch_size=args.batch, tta=args.tta)
        prediction = Prediction(model, path, Path(folder) / 'out', workers=1, **options)
        summary = prediction.run()
        seconds = time.monotonic() - start
    if summary.failed:
        raise SystemExit(summary.errors[0])
    sides = prediction.segmentor.sides
    megapixels = args.size[0] * args.size[1] / 1e6
    print(
        f'{args.size[0]} x {args.size[1]}, {model.num_classes} classes, tiles of {sides[0]} x {sides[1]} that share '
        f'{prediction.segmentor.overlap}: {seconds:.1f} s, {seconds / megapixels:.2f} s a megapixel, peak memory '
        f'{peak():.2f} GiB ({before:.2f} before)'
    )


def compare(model: nn.Module, picture: np.ndarray, args: argparse.Namespace) -> None:
    """Print the share of pixels that have one label both ways, by their distance from the borders of tiles."""
    whole = Segmentor(model, tta=args.tta)
    tiled = TiledSegmentor(whole, args.tile, args.overlap, args.batch)
    largest = TiledSegmentor(whole, max(*args.size, 32))
    labels = [np.concatenate([rows for _, rows in way.bands(Decoded(picture))]) for way in (tiled, largest)]
    equal = labels[0] == labels[1]
    distances = [
        to_border(Cuts.along(size, side, tiled.overlap), size)
        for size, side in zip(args.size, tiled.sides, strict=True)
    ]
    distance = np.minimum(distances[0][:, None], distances[1])
    print(
        f'{args.size[0]} x {args.size[1]}, {model.num_classes} classes, tiles of {tiled.sides[0]} x {tiled.sides[1]} '
        f'that share {tiled.overlap}: {equal.mean():.1%} of labels are equal'
    )
    edges = [0, 8, 16, 32, 64, 128, 256, max(args.size)]
    for nearest, farthest in pairwise(edges):
        inside = (distance >= nearest) & (distance < farthest)
        if inside.any():
            print(f'{nearest:4d} to {farthest:4d} pixels from a border: {equal[inside].mean():.1%}')


def to_border(cuts: Cuts, size: int) -> np.ndarray:
    """Pixels from each place of an axis to the nearest border of a tile; those of the picture do not count."""
    borders = {*cuts.starts, *(start + cuts.side for start in cuts.starts)} - {0, size}
    place = np.arange(size) + 0.5
    return np.min([np.abs(place - border) for border in borders] or [np.full(size, np.inf)], axis=0)


def mosaic(paths: Sequence[str], height: int, width: int) -> np.ndarray:
    """A picture of this size, H x W x 3, of pictures side by side that have the size of the first."""
    if paths:
        pieces = [cv2.imread(path) for path in paths]
    else:
        noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        pieces = [cv2.resize(noise, (960, 720), interpolation=cv2.INTER_CUBIC)]
    rows, columns = pieces[0].shape[:2]
    picture = np.empty((height, width, 3), np.uint8)
    corners = product(range(0, height, rows), range(0, width, columns))
    for (top, left), piece in zip(corners, cycle(pieces)):  # noqa: B905 (pieces have no end)
        place = picture[top : top + rows, left : left + columns]
        place[:] = piece[: place.shape[0], : place.shape[1]]
    return picture


def peak() -> float:
    """GiB that this process has had in memory at most."""
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


if __name__ == '__main__':
    main()
