"""All cells of docs/export.md's table: a model's files against the model, at every size and batch.

    python tools/analysis_tools/export_parity.py CONFIG [CHECKPOINT] --out DIR [--images DIR] [--targets onnx ...]

Files that are there already are compared as they are. Without a checkpoint all weights are drawn, so that every layer
matters to the scores.
"""

import argparse
from pathlib import Path

import torch
from rich.console import Console

from mmseg.apis import init_model
from mmseg.engine.launch import load_config
from mmseg.export import TARGETS, Export, parity
from mmseg.export.describing import describe
from mmseg.runtimes.targets import open_file

SIZES = ((128, 128), (161, 203), (203, 161), (512, 704), (33, 700))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint', nargs='?')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--images', help='folder of images [drawn scenes]')
    parser.add_argument('--targets', nargs='+', default=['torch', 'onnx', 'openvino'], choices=list(TARGETS))
    parser.add_argument('--output', default='scores')
    parser.add_argument('--cfg-options', nargs='+', default=[])
    args = parser.parse_args()
    torch.manual_seed(0)
    model = init_model(load_config(args.config, args.cfg_options), args.checkpoint, 'cpu')
    if args.checkpoint is None:
        parity.draw_weights(model)
    pictures = parity.pictures_of(args.images) if args.images else parity.drawn_pictures()
    cells = [(batch, *size) for size in SIZES for batch in parity.BATCHES]
    work = Export(model, args.output)
    for target in args.targets:
        path = args.out / f'{Path(args.config).stem}-{target}{TARGETS[target]}'
        if not path.exists():
            work.write(path, target)
        metadata = describe(model, work.output, work.fixed, target, work.precision)
        runtime, run = open_file(path, target)
        comparisons = parity.compare(work, run, cells, pictures)
        parity.write_report(Path(f'{path}.parity.json'), comparisons, runtime, metadata)
        Console(width=100).print(parity.table(comparisons, runtime))


if __name__ == '__main__':
    main()
