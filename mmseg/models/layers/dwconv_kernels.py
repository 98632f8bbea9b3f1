"""A residual depthwise 3x3 convolution on GPUs: one kernel forward, one backward, in Triton. See :mod:`.mlp`.

Maps are B x H x W x C in memory (channels last). A place of a map has its channels in a row; a walker goes down some
rows of one column and keeps the sums that are not complete yet, so that it reads each row once: three times in all,
for the neighbours to the left and right. A program has LANES walkers and CHANNELS channels, the first and the second
dimension of what is in here. What lies outside of a map is not read.

GELU in front goes into the kernel backward, which needs each number of x once, and saves five passes over wide maps.
Forward it would be computed several times for each number, which takes longer than two passes.

Nothing is added up atomically: the same input gives the same bits.
"""

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

# Of a program, and the rows that walkers go down. Each thread has four numbers forward; two backward, where it keeps
# sums for each of nine weights.
LANES = 16
CHANNELS = 32
ROWS = 4
WARPS = 4
WARPS_BACKWARD = 8
# Backward, whatever the map's size: about two for each of 132 multiprocessors at a time, three times over. So many
# sums for the weights are left to add up, of CHANNELS channels each.
PROGRAMS = 768


class FusedDWConv(torch.autograd.Function):
    """x + DWConv3x3(x), with zeros around the map, or of GELU(x) the same. Sums in float32. Keeps x alone.

    Args:
        x: B x C x H x W, of float32, bfloat16 or float16; copied where it is not channels last.
        weight: C x 1 x 3 x 3, of any of these types.
        bias: C.
        gelu: whether GELU (exact, by the error function) comes first.

    Returns:
        B x C x H x W, channels last, of ``x``'s type.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, gelu: bool) -> Tensor:
        x, weight, bias = x.contiguous(memory_format=torch.channels_last), weight.contiguous(), bias.contiguous()
        ctx.save_for_backward(x, weight, bias)
        ctx.gelu = gelu
        out = torch.empty_like(x, memory_format=torch.channels_last)
        _launch(_forward, _tiles(x), F.gelu(x) if gelu else x, weight, bias, out, num_warps=WARPS)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, of_out: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, bias = ctx.saved_tensors
        of_out, of_x = of_out.contiguous(memory_format=torch.channels_last), torch.empty_like(x)
        C = x.shape[1]
        tiles = min(_tiles(x), max(1, PROGRAMS // triton.cdiv(C, CHANNELS)))  # at a time
        sums = x.new_empty(tiles, 10 * C, dtype=torch.float32)
        _launch(_backward, tiles, x, weight, of_out, of_x, sums, GELU=ctx.gelu, num_warps=WARPS_BACKWARD)
        of_weight, of_bias = sums.sum(dim=0).split((9 * C, C))
        return of_x, of_weight.view_as(weight).to(weight.dtype), of_bias.to(bias.dtype), None


def _tiles(x: Tensor) -> int:
    """How many programs the walkers of all rows and columns are, for some channels."""
    B, _, H, W = x.shape
    return triton.cdiv(B * triton.cdiv(H, ROWS) * W, LANES)


def _launch(kernel, tiles: int, x: Tensor, *others: Tensor, **options: int) -> None:
    B, C, H, W = x.shape
    programs = tiles * triton.cdiv(C, CHANNELS)
    if programs:
        with torch.cuda.device_of(x):
            kernel[(programs,)](x, *others, B, H, W, C, LANES, CHANNELS, ROWS, **options)


@triton.jit(do_not_specialize=['B', 'H', 'W'])
def _forward(
    x,
    weight,
    bias,
    out,
    B,
    H,
    W,
    C,
    LANES: tl.constexpr,
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
):
    tile, _, c, channels = _program(C, CHANNELS)
    image, top, column, here = _walkers(tile, B, H, W, LANES, ROWS)
    there = here[:, None] & channels
    w00, w01, w02 = _taps(weight, 0, 1, c, channels)
    w10, w11, w12 = _taps(weight, 3, 1, c, channels)
    w20, w21, w22 = _taps(weight, 6, 1, c, channels)
    w11 += 1  # the residual
    constant = tl.load(bias + c, mask=channels, other=0.0).to(tl.float32)
    current = tl.zeros((LANES, CHANNELS), tl.float32) + constant
    following = current
    for step in tl.static_range(ROWS + 2):
        row = top + step - 1
        left, centre, right = _row(x, image, row, column, c, H, W, C, there)
        done = current + left * w20 + centre * w21 + right * w22
        current = following + left * w10 + centre * w11 + right * w12
        following = constant + left * w00 + centre * w01 + right * w02
        if step >= 2:
            _store_row(out, done, image, row - 1, column, c, H, W, C, there)


@triton.jit(do_not_specialize=['B', 'H', 'W'])
def _backward(
    x,
    weight,
    of_out,
    of_x,
    sums,
    B,
    H,
    W,
    C,
    LANES: tl.constexpr,
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
    GELU: tl.constexpr,
):
    """The convolution of ``of_out`` with weights that are turned round, and of what it reads the products with x."""
    program, programs, c, channels = _program(C, CHANNELS)
    w00, w01, w02 = _taps(weight, 8, -1, c, channels)
    w10, w11, w12 = _taps(weight, 5, -1, c, channels)
    w20, w21, w22 = _taps(weight, 2, -1, c, channels)
    w11 += 1
    zero = tl.zeros((LANES, CHANNELS), tl.float32)
    s00, s01, s02 = zero, zero, zero
    s10, s11, s12 = zero, zero, zero
    s20, s21, s22 = zero, zero, zero
    of_bias = zero
    tile = program
    while tile < tl.cdiv(B * tl.cdiv(H, ROWS) * W, LANES):
        image, top, column, here = _walkers(tile, B, H, W, LANES, ROWS)
        there = here[:, None] & channels
        current, following = zero, zero
        x_above, x_here = zero, zero
        slope_above, slope_here = zero, zero
        for step in tl.static_range(ROWS + 2):
            row = top + step - 1
            left, centre, right = _row(of_out, image, row, column, c, H, W, C, there)
            x_below, slope_below = zero, zero
            if step < ROWS:
                at, inside = _places(image, row + 1, column, H, W, C)
                x_below = tl.load(x + at + c, mask=there & inside, other=0.0).to(tl.float32)
                if GELU:
                    x_below, slope_below = _gelu(x_below)
                    x_below = x_below.to(x.dtype.element_ty).to(tl.float32)  # as it was forward
            s20, s21, s22 = s20 + x_above * left, s21 + x_above * centre, s22 + x_above * right
            s10, s11, s12 = s10 + x_here * left, s11 + x_here * centre, s12 + x_here * right
            s00, s01, s02 = s00 + x_below * left, s01 + x_below * centre, s02 + x_below * right
            if step >= 1 and step <= ROWS:
                of_bias += centre
            done = current + left * w20 + centre * w21 + right * w22
            current = following + left * w10 + centre * w11 + right * w12
            following = left * w00 + centre * w01 + right * w02
            if GELU:
                done *= slope_above
            if step >= 2:
                _store_row(of_x, done, image, row - 1, column, c, H, W, C, there)
            x_above, x_here = x_here, x_below
            slope_above, slope_here = slope_here, slope_below
        tile += programs
    sums += program.to(tl.int64) * 10 * C
    _store_sums(sums + 6, s02, s01, s00, c, channels)
    _store_sums(sums + 3, s12, s11, s10, c, channels)
    _store_sums(sums, s22, s21, s20, c, channels)
    tl.store(sums + 9 * C + c, tl.sum(of_bias, axis=0)[None, :], mask=channels)


@triton.jit
def _program(C, CHANNELS: tl.constexpr):
    """Which tile a program has, or the first one, and how many there are at a time; its channels, and which there are.

    Channels come first: programs that run at a time read and write the same neighbourhood.
    """
    blocks = tl.cdiv(C, CHANNELS)
    c = tl.program_id(0) % blocks * CHANNELS + tl.arange(0, CHANNELS)[None, :]
    return tl.program_id(0) // blocks, tl.num_programs(0) // blocks, c, c < C


@triton.jit
def _walkers(tile, B, H, W, LANES: tl.constexpr, ROWS: tl.constexpr):
    """Of each the first row of its image among those of all images, where it starts, and whether it is there."""
    n = tile * LANES + tl.arange(0, LANES)
    strips = tl.cdiv(H, ROWS)
    column, strip = n % W, n // W
    b = strip // strips
    return b.to(tl.int64) * H, strip % strips * ROWS, column, b < B


@triton.jit
def _taps(weight, first, step, c, channels):
    """Three weights of each channel."""
    at = weight + c * 9 + first
    a = tl.load(at, mask=channels, other=0.0).to(tl.float32)
    b = tl.load(at + step, mask=channels, other=0.0).to(tl.float32)
    return a, b, tl.load(at + 2 * step, mask=channels, other=0.0).to(tl.float32)


@triton.jit
def _gelu(x):
    """GELU and its derivative."""
    below = 0.5 + 0.5 * tl.erf(x * 0.7071067811865476)  # how much of a normal distribution
    return x * below, below + x * 0.3989422804014327 * tl.exp(-0.5 * x * x)


@triton.jit
def _places(image, row, column, H, W, C):
    """Where the channels of each walker's place start, and whether the place is in the map."""
    return (((image + row) * W + column) * C)[:, None], ((row >= 0) & (row < H))[:, None]


@triton.jit
def _row(x, image, row, column, c, H, W, C, there):
    """What is to the left of each walker, where it is, and to the right of it."""
    at, inside = _places(image, row, column, H, W, C)
    at, inside = x + at + c, there & inside
    left = tl.load(at - C, mask=inside & (column > 0)[:, None], other=0.0).to(tl.float32)
    right = tl.load(at + C, mask=inside & (column < W - 1)[:, None], other=0.0).to(tl.float32)
    return left, tl.load(at, mask=inside, other=0.0).to(tl.float32), right


@triton.jit
def _store_row(out, value, image, row, column, c, H, W, C, there):
    at, inside = _places(image, row, column, H, W, C)
    tl.store(out + at + c, value.to(out.dtype.element_ty), mask=there & inside)


@triton.jit
def _store_sums(at, a, b, d, c, channels):
    """Those of all walkers, for three weights of each channel."""
    at += c * 9
    tl.store(at, tl.sum(a, axis=0)[None, :], mask=channels)
    tl.store(at + 1, tl.sum(b, axis=0)[None, :], mask=channels)
    tl.store(at + 2, tl.sum(d, axis=0)[None, :], mask=channels)
