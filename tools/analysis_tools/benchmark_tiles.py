"""Time and peak memory of predict on one large picture: python tools/analysis_tools/benchmark_tiles.py CONFIG.

The picture is a mosaic of another one, or of coloured noise. All is counted, from reading the file to written results.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg

require_own_mmseg()

from mmseg.apis import init_model  # noqa: E402
from mmseg.apis.predict import SAVE, Prediction  # noqa: E402
from mmseg.apis.predict_command import tile_option  # noqa: E402
from mmseg.engine.launch import load_config  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--checkpoint', metavar='FILE', help='weights [random ones]')
    parser.add_argument('--size', metavar=('H', 'W'), nargs=2, type=int, default=[10000, 10000], help='[10000 10000]')
    parser.add_argument('--picture', metavar='FILE', help='what the large picture is a mosaic of')
    parser.add_argument('--tile', metavar='N', type=tile_option, default='auto')
    parser.add_argument('--overlap', metavar='N', type=int)
    parser.add_argument('--batch', metavar='N', type=int, default=1)
    parser.add_argument('--save', metavar='KIND', nargs='+', default=list(SAVE))
    parser.add_argument('--tta', action='store_true')
    parser.add_argument('--device', metavar='NAME')
    parser.add_argument('--cfg-options', metavar='KEY=VALUE', nargs='+', action='extend', default=[])
    args = parser.parse_args()

    model = init_model(load_config(args.config, args.cfg_options), args.checkpoint, args.device or 'cuda')
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / 'picture.jpg')
        cv2.imwrite(path, mosaic(args.picture, *args.size))
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


def mosaic(path: str | None, height: int, width: int) -> np.ndarray:
    """A picture of this size, H x W x 3."""
    if path is None:
        noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        piece = cv2.resize(noise, (960, 720), interpolation=cv2.INTER_CUBIC)
    else:
        piece = cv2.imread(path)
    rows, columns = -(-height // piece.shape[0]), -(-width // piece.shape[1])
    return np.ascontiguousarray(np.tile(piece, (rows, columns, 1))[:height, :width])


def peak() -> float:
    """GiB that this process has had in memory at most."""
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


if __name__ == '__main__':
    main()
