"""``lrformer serve``."""

import argparse
import importlib.util
from typing import TYPE_CHECKING

from .parser import CONFIG_OR_NAME, Parser, add_amp, add_cfg_options, add_weights

if TYPE_CHECKING:
    from mmseg.inference import Segmentor

USAGE = 'MODEL ... [options]'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    parser.epilog = 'A page at http://HOST:PORT/, POST /segment for programs, /docs describes it.'
    add('models', metavar='MODEL', nargs='+', help=CONFIG_OR_NAME)
    add('--checkpoint', metavar='FILE', nargs='+', default=[], help='weights, for each MODEL in turn')
    add_weights(parser)
    add('--host', default='127.0.0.1', help='address to listen at; 0.0.0.0 for all [127.0.0.1]')
    add('--port', type=int, default=8000, help='[8000]')
    add('--password', metavar='NAME:WORD', help='to be asked for')
    add('--batch', metavar='N', type=int, default=4, help='waiting images that share a batch, at most [4]')
    add('--waiting', metavar='N', type=int, default=16, help='images of a model that may wait [16]')
    add('--max-mb', metavar='N', type=float, default=20, help='MiB of an upload [20]')
    add('--max-mpx', metavar='N', type=float, default=25, help='million pixels of an image [25]')
    add('--timeout', metavar='S', type=float, default=60, help='seconds for an upload, and for an answer [60]')
    add('--device', metavar='NAME', default='cuda:0', help='e.g. cpu, cuda:1 [the GPU where there is one]')
    add_amp(parser)
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> int:
    if importlib.util.find_spec('fastapi') is None or importlib.util.find_spec('uvicorn') is None:
        raise ModuleNotFoundError("serve needs fastapi and uvicorn: pip install 'lrformer[web]'")
    if args.checkpoint and len(args.checkpoint) != len(args.models):
        raise ValueError(f'{len(args.checkpoint)} checkpoints for {len(args.models)} models: give one for each')
    if args.password is not None and ':' not in args.password:
        raise ValueError('--password: expected NAME:WORD')
    for name in ('batch', 'waiting', 'max_mb', 'max_mpx', 'timeout'):
        if getattr(args, name) <= 0:
            raise ValueError(f'--{name.replace("_", "-")} {getattr(args, name):g}: it must be above 0')
    import uvicorn

    from mmseg.serve import Limits, Service, make_app
    from mmseg.serve.service import LOCAL

    limits = Limits(args.max_mb, args.max_mpx, args.waiting, args.timeout)
    service = Service(_segmentors(args), limits, args.batch)
    app = make_app(service, args.password, LOCAL if args.host in LOCAL else None)
    print(f'a page at http://{args.host}:{args.port}/, for programs POST /segment (described at /docs)', flush=True)
    uvicorn.run(app, host=args.host, port=args.port, log_level='warning', timeout_keep_alive=5)
    return 0


def _segmentors(args: argparse.Namespace) -> dict[str, 'Segmentor']:
    from pathlib import Path

    from mmseg.apis import init_model
    from mmseg.apis.inference import require_weights
    from mmseg.engine.amp import amp_dtype
    from mmseg.inference import Segmentor

    segmentors: dict[str, Segmentor] = {}
    for name, checkpoint in zip(args.models, args.checkpoint or [None] * len(args.models), strict=True):
        require_weights(name, checkpoint)
        model = init_model(name, checkpoint, args.device, args.cfg_options, args.weights)
        short = label = Path(name).stem
        while label in segmentors:
            label = f'{short}-{sum(key.startswith(short) for key in segmentors) + 1}'
        dtype = amp_dtype(None if args.amp == 'auto' else args.amp) if args.amp else None
        segmentors[label] = Segmentor(model, amp=dtype)
    return segmentors
