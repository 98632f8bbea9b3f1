"""Draws which cells of LRFormer's low-resolution grids a place in an image attends to, and what its stages see.

    python tools/analysis_tools/attention.py MODEL IMAGE PICTURE --checkpoint FILE --at 0.6 0.5
    python tools/analysis_tools/attention.py MODEL IMAGE PICTURE --features

A query cell attends to four grids of keys at once; they are laid over each other.
"""

import argparse
import sys
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg

require_own_mmseg()

import torch  # noqa: E402

from mmseg.apis import init_model  # noqa: E402
from mmseg.inference.pipeline import ImagePipeline  # noqa: E402
from mmseg.report.attention import attention_figure, attentions, feature_figure  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', metavar='MODEL', help='config file or name')
    parser.add_argument('image', help='picture to look at')
    parser.add_argument('picture', help='PNG, PDF or SVG to write')
    parser.add_argument('--checkpoint', metavar='FILE', help='weights [the published ones of a name]')
    parser.add_argument('--at', type=float, nargs=2, default=[0.5, 0.5], metavar=('Y', 'X'), help='place [0.5 0.5]')
    parser.add_argument('--blocks', nargs='+', metavar='NAME', help='of which blocks [the last of each stage]')
    parser.add_argument('--features', action='store_true', help='the maps of the stages, not attention')
    parser.add_argument('--device', default='cuda:0', help='[cuda:0, or the CPU]')
    args = parser.parse_args()
    if not all(0 <= place <= 1 for place in args.at):
        parser.error(f'--at takes fractions of height and width, 0 to 1, not {args.at}')
    model = init_model(args.model, args.checkpoint, args.device)
    data, picture = ImagePipeline(model.cfg).with_picture(args.image)
    batch = model.data_preprocessor(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]), False)
    image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    if args.features:
        with torch.no_grad():
            figure = feature_figure(image, model.extract_feat(batch['inputs']))
    else:
        found = attentions(model, batch['inputs'])
        last = {attention.name.rsplit('.', 1)[0]: attention for attention in found}  # of each stage, and of the head
        chosen = [a for a in found if a.name in args.blocks] if args.blocks else list(last.values())
        if not chosen:
            parser.error(f'there is no block {" ".join(args.blocks)}; there are {", ".join(a.name for a in found)}')
        figure = attention_figure(image, chosen, *args.at)
    figure.savefig(args.picture, dpi=110)


if __name__ == '__main__':
    main()
