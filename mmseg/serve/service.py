"""``POST /segment`` and its neighbours. Nothing of a request touches the disk, and all that it may take is bounded."""

import asyncio
import base64
import binascii
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from mmseg.inference import Result, Segmentor
from mmseg.inference.result import encode
from mmseg.inference.sinks import label_png
from mmseg.utils.image_file import UnreadableFileError, decode_image, read_header

from .batching import Answer, Batcher, Busy

PAGE = Path(__file__).with_name('page.html')
LOCAL = ('127.0.0.1', 'localhost', '::1')
EXAMPLES = 4
SLIMMEST = (
    16  # long side over short side: the attention's grid keeps that ratio, and so does a resize of the short side
)
BODY = {
    'requestBody': {
        'required': True,
        'content': {
            'image/*': {'schema': {'type': 'string', 'format': 'binary'}},
            'multipart/form-data': {
                'schema': {'type': 'object', 'properties': {'image': {'type': 'string', 'format': 'binary'}}}
            },
        },
    },
    'responses': {
        '200': {'content': {'application/json': {}, 'image/png': {}, 'image/jpeg': {}}, 'description': 'the result'},
        **{code: {'description': text} for code, text in (
            ('400', 'the image is none, or is damaged'),
            ('401', 'name and password are asked for'),
            ('408', 'the upload took too long'),
            ('413', 'more bytes or pixels than are taken'),
            ('429', 'too many images wait; try again after Retry-After seconds'),
            ('504', 'the network took too long'),
        )},
    },
}  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What a request may take, and how many may be here at once.

    Attributes:
        megabytes: of an upload. megapixels: of its image.
        waiting: images of one model that are being uploaded, decoded or wait; more are answered with 429.
        seconds: for the upload, and again for the answer.
    """

    megabytes: float = 20
    megapixels: float = 25
    waiting: int = 16
    seconds: float = 60


@dataclass
class Service:
    """The models that are served, and what has been done so far.

    Attributes:
        segmentors: by name; the first one answers where none is named.
        batch_size: images of one input size that share a batch.
    """

    segmentors: Mapping[str, Segmentor]
    limits: Limits = field(default_factory=Limits)
    batch_size: int = 4

    def __post_init__(self) -> None:
        self.batchers = {
            name: Batcher(segmentor, self.batch_size, self.limits.waiting)
            for name, segmentor in self.segmentors.items()
        }
        self.here: Counter[str] = Counter()  # requests under way, by model
        self.answered: Counter[int] = Counter()  # by status
        self.images, self.batch_sum, self.network_seconds = 0, 0.0, 0.0
        self._work = ThreadPoolExecutor(2, thread_name_prefix='image')  # decoding and encoding

    def close(self) -> None:
        for batcher in self.batchers.values():
            batcher.close()
        self._work.shutdown()

    async def run(self, function, *args):
        """Call something that takes a while, outside of the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._work, function, *args)

    async def segment(self, request: Request, model: str) -> tuple[Result, Answer, float]:
        """Read, decode and segment the image of a request; the last is the seconds of decoding.

        Raises:
            HTTPException: it is refused; the detail says why.
        """
        if self.here[model] >= self.limits.waiting:
            raise self._busy()
        self.here[model] += 1
        try:
            try:
                content = await asyncio.wait_for(self._upload(request), self.limits.seconds)
            except (TimeoutError, asyncio.TimeoutError):
                raise HTTPException(408, f'the upload took more than {self.limits.seconds:g} s') from None
            start = time.monotonic()
            segmentor = self.segmentors[model]
            prepared = await self.run(self._decode, content, segmentor)
            decoding = time.monotonic() - start
            del content
            try:
                future = self.batchers[model].submit(prepared)
            except Busy:
                raise self._busy() from None
            try:
                answer = await asyncio.wait_for(asyncio.wrap_future(future), self.limits.seconds)
            except (TimeoutError, asyncio.TimeoutError):
                future.cancel()
                raise HTTPException(504, f'the network took more than {self.limits.seconds:g} s') from None
        finally:
            self.here[model] -= 1
        self.images, self.batch_sum = self.images + 1, self.batch_sum + answer.batch
        self.network_seconds += answer.network / answer.batch
        return Result('image', answer.labels, segmentor.classes, prepared.picture), answer, decoding

    async def _upload(self, request: Request) -> bytes:
        limit = int(self.limits.megabytes * 2**20)
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > limit:
                raise HTTPException(413, f'an upload has {self.limits.megabytes:g} MiB at most')
        kind = request.headers.get('content-type', '')
        return _form_image(kind, bytes(content)) if kind.startswith('multipart/') else bytes(content)

    def _decode(self, content: bytes, segmentor: Segmentor):
        try:
            header = read_header(content, 'upload', 'image')
            height, width = header.size or (0, 0)
            if height * width > self.limits.megapixels * 1e6:
                raise HTTPException(
                    413, f'the image has {height} x {width} pixels; {self.limits.megapixels:g} million are taken'
                )
            if max(height, width) > SLIMMEST * min(height, width):
                raise HTTPException(
                    413, f'the image has {height} x {width} pixels; its sides may differ by a factor of {SLIMMEST}'
                )
            return segmentor.prepare(decode_image(content, header, 'upload'), picture=True)
        except UnreadableFileError as error:
            raise HTTPException(413 if error.kind == 'too-large' else 400, str(error)) from None
        except (ValueError, TypeError, OSError, cv2.error) as error:
            raise HTTPException(400, f'the image cannot be segmented: {error}') from None

    def _busy(self) -> HTTPException:
        seconds = max(1, round(self.limits.waiting * self.network_seconds / max(self.images, 1)))
        return HTTPException(429, 'too many images wait, try again later', {'Retry-After': str(seconds)})

    def metrics(self) -> str:
        """The state in the text format of Prometheus."""
        lines = ['# TYPE lrformer_requests_total counter']
        lines += [
            f'lrformer_requests_total{{status="{code}"}} {count}' for code, count in sorted(self.answered.items())
        ]
        totals = dict(images=self.images, network_seconds=self.network_seconds, batch_images=self.batch_sum)
        for name, value in totals.items():
            lines += [f'# TYPE lrformer_{name}_total counter', f'lrformer_{name}_total {value:g}']
        lines.append('# TYPE lrformer_waiting gauge')
        lines += [f'lrformer_waiting{{model="{name}"}} {len(batcher)}' for name, batcher in self.batchers.items()]
        return '\n'.join(lines) + '\n'


def make_app(service: Service, password: str | None = None, hosts: tuple[str, ...] | None = LOCAL) -> FastAPI:
    """The web application.

    Args:
        service: the models.
        password: ``NAME:PASSWORD`` that is asked for; None for none.
        hosts: names under which it may be called, so that pages of other sites cannot reach it through a name of theirs
            that leads here; None for any.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        yield
        service.close()

    app = FastAPI(title='LRFormer', description='Semantic segmentation of images.', lifespan=lifespan)
    names = tuple(service.segmentors)

    @app.middleware('http')
    async def guard(request: Request, call_next):
        if password and request.url.path != '/health' and not _knows(request, password):
            response = PlainTextResponse('who are you?', 401, {'WWW-Authenticate': 'Basic realm="lrformer"'})
        else:
            response = await call_next(request)
        service.answered[response.status_code] += 1
        return response

    if hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))

    @app.post('/segment', openapi_extra=BODY, response_class=JSONResponse)
    async def segment(
        request: Request,
        model: Annotated[str | None, Query(description=f'one of {", ".join(names)}')] = None,
        answer: Annotated[
            Literal['json', 'labels', 'overlay', 'map'],
            Query(description='classes and their shares; a label PNG; a picture; or, for the page, JSON with a PNG '
                  'whose red and green are the label and whose blue is its probability'),
        ] = 'json',
        opacity: Annotated[float, Query(ge=0, le=1)] = 0.5,
    ):  # fmt: skip
        """Segment the image in the body."""
        name = names[0] if model is None else model
        if name not in names:
            raise HTTPException(404, f'there is no model {name!r}; there are {", ".join(names)}')
        result, said, decoding = await service.segment(request, name)
        if answer == 'labels':
            return Response(await service.run(label_png, result.labels, result.classes), media_type='image/png')
        if answer == 'overlay':
            return Response(await service.run(encode, result.drawn(opacity), '.jpg'), media_type='image/jpeg')
        content = await service.run(_described, result)
        seconds = dict(decode=decoding, wait=said.waited, network=said.network)
        content |= dict(model=name, batch=said.batch, seconds={key: round(value, 4) for key, value in seconds.items()})
        if answer == 'map':
            content['map'] = await service.run(_packed, said)
        return JSONResponse(content)

    @app.get('/models')
    async def models():
        """The models, and their classes in order of the label."""
        return {name: _classes(segmentor) for name, segmentor in service.segmentors.items()}

    @app.get('/health')
    async def health():
        """Answers as long as the service lives."""
        return dict(status='ok', waiting={name: len(batcher) for name, batcher in service.batchers.items()})

    @app.get('/metrics', response_class=PlainTextResponse)
    async def metrics():
        """Counters, for Prometheus."""
        return service.metrics()

    @app.get('/examples/{number}', include_in_schema=False)
    async def example(number: int):
        if not 0 <= number < EXAMPLES:
            raise HTTPException(404, f'there are {EXAMPLES} examples')
        return Response(await service.run(_example, number), media_type='image/png')

    @app.get('/', include_in_schema=False)
    async def page():
        return HTMLResponse(PAGE.read_text(encoding='utf-8'))

    return app


def _knows(request: Request, password: str) -> bool:
    scheme, _, encoded = request.headers.get('authorization', '').partition(' ')
    try:
        given = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == 'basic' and secrets.compare_digest(given, password.encode())


def _form_image(kind: str, content: bytes) -> bytes:
    """The part named 'image' of a form."""
    message = BytesParser().parsebytes(b'Content-Type: ' + kind.encode('latin-1', 'replace') + b'\r\n\r\n' + content)
    parts = [part for part in message.walk() if not part.is_multipart()] if message.is_multipart() else []
    named = [part for part in parts if part.get_param('name', header='content-disposition') == 'image']
    for part in named:
        image = part.get_payload(decode=True)
        return image if isinstance(image, bytes) else b''
    raise HTTPException(400, "the form has no part named 'image'")


def _classes(segmentor: Segmentor) -> list[dict]:
    classes = segmentor.classes
    return [dict(name=name, color=color) for name, color in zip(classes.names, classes.palette.tolist(), strict=True)]


def _described(result: Result) -> dict:
    height, width = result.labels.shape
    shares = sorted(result.counts(), key=lambda row: -row[1])
    found = [
        dict(
            label=label,
            name=result.classes.names[label],
            color=result.classes.palette[label].tolist(),
            share=pixels / result.labels.size,
        )
        for label, pixels in shares
    ]
    return dict(width=width, height=height, classes=found)


def _packed(answer: Answer) -> str:
    """Labels and probabilities in one PNG, as a data URL."""
    labels = answer.labels.astype(np.uint16)
    planes = [answer.probability, (labels >> 8).astype(np.uint8), (labels & 255).astype(np.uint8)]  # BGR
    return 'data:image/png;base64,' + base64.b64encode(encode(np.dstack(planes), '.png')).decode()


def _example(number: int) -> bytes:
    from mmseg.datasets.scene_painter import draw_scene

    picture, _ = draw_scene(np.random.default_rng(number), (256, 384))
    return encode(picture, '.png')
