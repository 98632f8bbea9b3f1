"""Times predict on a folder of images: the network alone, and all from file to files, in one run.

    python tools/analysis_tools/benchmark_predict.py CONFIG FOLDER --checkpoint FILE --batch 1 8

The two take turns on the same images in one process, so that their ratio holds on a machine whose speed drifts.
"Network" gives prepared images to the model, one after the other or in batches, and takes its label maps; "predict"
is what ``lrformer predict`` does with overlays, label PNGs and the CSV.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from mmseg.apis import init_model
from mmseg.apis.predict import SAVE, Prediction
from mmseg.inference import Segmentor
from mmseg.inference.sources import Source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('images', help='folder')
    parser.add_argument('--checkpoint', help='weights; random ones without')
    parser.add_argument('--batch', type=int, nargs='+', default=[1, 8], help='images at a time [1 8]')
    parser.add_argument('--images-used', type=int, default=64, help='of the folder, at the most [64]')
    parser.add_argument('--rounds', type=int, default=3, help='turns of the two [3]')
    parser.add_argument('--save', nargs='+', default=list(SAVE), help=f'kinds of results [{" ".join(SAVE)}]')
    parser.add_argument('--device', default='cuda')
    args = parser.parse_args()

    model = init_model(args.config, args.checkpoint, args.device)
    paths = [entry.source for entry in itertools.islice(Source(args.images), args.images_used)]
    rows = Table(title=f'{len(paths)} images, {args.rounds} rounds, {torch.get_num_threads()} threads')
    for heading in ('batch', 'network, images/s', 'predict, images/s', 'of the network'):
        rows.add_column(heading, justify='right')
    for batch_size in args.batch:
        rates = [(network(model, paths, batch_size), whole(model, paths, batch_size, args.save))
                 for _ in range(args.rounds + 1)][1:]  # fmt: skip  # the first one warms up
        alone, flow = (statistics.median(column) for column in zip(*rates, strict=True))
        ratio = statistics.median(b / a for a, b in rates)
        rows.add_row(str(batch_size), f'{alone:.2f}', f'{flow:.2f}', f'{ratio:.2f}')
    Console(width=100).print(rows)


def network(model: torch.nn.Module, paths: list[str], batch_size: int) -> float:
    segmentor = Segmentor(model)
    prepared = [segmentor.prepare(path) for path in paths]
    start = time.perf_counter()
    for i in range(0, len(paths), batch_size):
        for sample in segmentor.predict(prepared[i : i + batch_size]):
            sample.pred_sem_seg.data.cpu()
    return len(paths) / (time.perf_counter() - start)


def whole(model: torch.nn.Module, paths: list[str], batch_size: int, save: list[str]) -> float:
    with tempfile.TemporaryDirectory() as out:
        prediction = Prediction(model, paths, Path(out) / 'results', batch_size=batch_size, save=save)
        start = time.perf_counter()
        prediction.run()
        return len(paths) / (time.perf_counter() - start)


if __name__ == '__main__':
    main()
