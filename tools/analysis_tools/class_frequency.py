"""Draws how often the classes of a config's dataset are, in their colours; or, quickly, a legend of these colours.

python tools/analysis_tools/class_frequency.py CONFIG PICTURE
python tools/analysis_tools/class_frequency.py CONFIG PICTURE --legend
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg

require_own_mmseg()

from mmseg.engine.config.data_root import dataset_of  # noqa: E402
from mmseg.engine.launch import load_config  # noqa: E402
from mmseg.report.class_plots import class_pixels, frequency_plot, legend_plot  # noqa: E402
from mmseg.utils import register_all_modules  # noqa: E402
from mmseg.utils.palette import palette_of  # noqa: E402
from mmseg.utils.parallel import available_cpus  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file or name')
    parser.add_argument('picture', help='PNG, PDF or SVG to write')
    parser.add_argument('--split', default='train', choices=('train', 'val', 'test'), help='[train]')
    parser.add_argument('--limit', type=int, metavar='N', help='count the first N samples only')
    parser.add_argument('--legend', action='store_true', help='colours and names, without reading annotations')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='values to change')
    args = parser.parse_args()
    cfg = load_config(args.config, args.cfg_options)
    register_all_modules()
    dataset = dataset_of(cfg, args.split)
    names, palette = dataset.metainfo['classes'], palette_of(dataset.metainfo)
    if args.legend:
        figure = legend_plot(names, palette)
    else:
        indices = range(min(len(dataset), args.limit or len(dataset)))
        pixels, images = class_pixels(dataset, indices, available_cpus())
        figure = frequency_plot(pixels, images, len(indices), names, palette)
    figure.savefig(args.picture, dpi=120)


if __name__ == '__main__':
    main()
