"""Shows what a config's pipeline makes of samples, annotations laid over them.

python tools/analysis_tools/browse_dataset.py CONFIG --out PICTURE            # 6 samples, 4 times each
python tools/analysis_tools/browse_dataset.py CONFIG --out PICTURE --steps    # after each step of the pipeline
python tools/analysis_tools/browse_dataset.py CONFIG                          # in a window
"""

import argparse
import sys
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg

require_own_mmseg()

from mmseg.engine.config.data_root import dataset_of  # noqa: E402
from mmseg.engine.launch import load_config  # noqa: E402
from mmseg.report.browsing import augmentations, grid, steps  # noqa: E402
from mmseg.utils import register_all_modules  # noqa: E402
from mmseg.utils.palette import palette_of  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file or name')
    parser.add_argument('--split', default='train', choices=('train', 'val', 'test'), help='[train]')
    parser.add_argument('--samples', type=int, nargs='+', metavar='N', help='numbers of samples [6 spread over all]')
    parser.add_argument('--copies', type=int, default=4, metavar='N', help='augmentations of each [4]')
    parser.add_argument('--steps', action='store_true', help='a sample after each step, not only after all')
    parser.add_argument('--width', type=int, default=320, metavar='PIXELS', help='of each picture [320]')
    parser.add_argument('--out', metavar='PICTURE', help='write it here [open a window]')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='values to change')
    args = parser.parse_args()
    cfg = load_config(args.config, args.cfg_options)
    register_all_modules()
    dataset = dataset_of(cfg, args.split)
    palette = palette_of(dataset.metainfo)
    chosen = args.samples or sorted({i * (len(dataset) - 1) // 5 for i in range(6)})
    for number in chosen:
        if not 0 <= number < len(dataset):
            parser.error(f'--samples {number}: {args.split} has samples 0 to {len(dataset) - 1}')
    if args.steps:
        rows = [steps(dataset, index, copy, palette) for index in chosen for copy in range(args.copies)]
    else:
        rows = augmentations(dataset, chosen, args.copies, palette)
    picture = grid(rows, args.width)[..., ::-1]
    if args.out is None:
        cv2.imshow(args.config, picture)
        cv2.waitKey()
    elif not cv2.imwrite(args.out, picture):
        raise OSError(f'{args.out} could not be written')


if __name__ == '__main__':
    main()
