"""The passes of `batch_norm` on a GPU, in Triton: each way, features are read twice and written once.

A program of a kernel works on tiles of pixels x channels, neighbours in channels-last memory. Sums over pixels are
taken by programs that each sum one part of them and store that; a second, small step adds the parts in a fixed order.
Nothing is added atomically, so the result does not depend on the order in which programs run. How pixels are split
depends on the shape alone, never on the card, and so does the result.

Sizes are chosen by reasoning about an H100, not measured yet. At 3.3 TB/s and a latency of some 0.7 us it has 2.3 MB on
their way, 18 KB to each of its 132 multiprocessors. A program of 128 threads asks for its whole tile at once, 8 KB of
bfloat16, and with the 56 to 80 registers that the compiled kernels take for a thread, six programs or more are resident
on a multiprocessor. Kernels that sum keep one float32 sum or two for every element of the tile, so their tiles are half
as large; by their 64 to 96 registers they have 32 and 40 KB on their way. They are 1,056 programs at most, unless there
are more images, 8 for each multiprocessor, and go through several tiles: so the sums of parts stay below 1 % of large
features. (`tests/sngan_cond/fast/test_triton.py` compiles the kernels and counts registers.)
"""

# mypy: disable-error-code="import-untyped, untyped-decorator, no-untyped-def, no-untyped-call"

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 4096  # numbers of a tile where each becomes one of the result
SUMMED_TILE = 2048  # where they are summed
TILE_CHANNELS = 64  # 128 bytes in bfloat16: a tile of fewer channels than the features still reads whole cache lines
PROGRAMS = 8 * 132  # that sum


@triton.jit
def _moments_kernel(
    x, means, squares, pixels, channels, parts, steps, PIXELS: tl.constexpr, CHANNELS: tl.constexpr
):  # fmt: skip
    """Of `steps` tiles of pixels: the mean, and the sum of squares about it, (channels, parts) each.

    About the part's first pixel as a provisional mean, so that neither term of E[(x - k)^2] - E[x - k]^2 is much larger
    than their difference.
    """
    part = tl.program_id(0)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    first = part * steps * PIXELS
    x += first.to(tl.int64) * channels
    count = tl.minimum(pixels - first, steps * PIXELS)
    shift = tl.load(x + c, mask=c < channels, other=0.0).to(tl.float32)
    # Summed over pixels only after the loop: inside it, every element of the tile has sums of its own.
    sums = tl.zeros((PIXELS, CHANNELS), tl.float32)
    products = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for step in range(steps):
        at = step * PIXELS + tl.arange(0, PIXELS)
        mask = (at < count)[:, None] & (c < channels)[None, :]
        value = tl.load(x + at[:, None] * channels + c[None, :], mask=mask, other=0.0).to(tl.float32)
        value = tl.where(mask, value - shift[None, :], 0.0)
        sums += value
        products += value * value
    total = tl.sum(sums, axis=0)
    offset = total / count
    square = tl.sum(products, axis=0) - total * offset
    tl.store(means + c * parts + part, shift + offset, mask=c < channels)
    # Rounding can make a small square negative. Not tl.maximum, which would turn a NaN into 0.
    tl.store(squares + c * parts + part, tl.where(square < 0.0, 0.0, square), mask=c < channels)


@triton.jit
def _merge_kernel(means, squares, mean, var, pixels, parts, part_pixels, PARTS: tl.constexpr):
    """Mean and biased variance of one channel from those of its parts (Chan, Golub and LeVeque 1983, equation 2.1)."""
    channel = tl.program_id(0)
    part = tl.arange(0, PARTS)
    inside = part < parts
    # In float64: a few numbers, of whose differences no digit should be lost.
    count = tl.where(inside, tl.minimum(part_pixels, pixels - part * part_pixels), 0).to(tl.float64)
    part_mean = tl.load(means + channel * parts + part, mask=inside, other=0.0).to(tl.float64)
    part_square = tl.load(squares + channel * parts + part, mask=inside, other=0.0).to(tl.float64)
    whole = tl.sum(part_mean * count) / pixels
    apart = part_mean - whole
    square = tl.sum(part_square + count * apart * apart)
    tl.store(mean + channel, whole.to(tl.float32))
    tl.store(var + channel, (square / pixels).to(tl.float32))


@triton.jit
def _affine(gain, bias, mean, inverse, c, channels):
    """Return gain / std, bias and mean of an image's channels."""
    inside = c < channels
    scale = tl.load(gain + c, mask=inside, other=0.0) * tl.load(inverse + c, mask=inside, other=0.0)
    return scale, tl.load(bias + c, mask=inside, other=0.0), tl.load(mean + c, mask=inside, other=0.0)


@triton.jit
def _norm_relu_kernel(
    x, gain, bias, mean, inverse, y, pixels, channels, blocks, row, PIXELS: tl.constexpr, CHANNELS: tl.constexpr
):  # fmt: skip
    """relu(gain (x - mean) inverse + bias) of one tile of one image; `row` numbers lie between two images' gains."""
    image = tl.program_id(0) // blocks
    at = tl.program_id(0) % blocks * PIXELS + tl.arange(0, PIXELS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    scale, offset, mu = _affine(gain + image * row, bias + image * row, mean, inverse, c, channels)
    mask = (at < pixels)[:, None] & (c < channels)[None, :]
    where = image.to(tl.int64) * pixels * channels + at[:, None] * channels + c[None, :]
    value = tl.load(x + where, mask=mask, other=0.0).to(tl.float32)
    h = (value - mu[None, :]) * scale[None, :] + offset[None, :]
    # Not tl.maximum, which would turn a NaN into 0 and hide a diverged run.
    tl.store(y + where, tl.where(h < 0.0, 0.0, h).to(y.dtype.element_ty), mask=mask)


@triton.jit
def _affine_gradients_kernel(
    grad, x, gain, bias, mean, inverse, sums, pixels, channels, parts, steps, row, stride,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Sums of g and of g (x - mean) inverse over `steps` tiles of one image, `stride` numbers apart."""
    image = tl.program_id(0) // parts
    first = tl.program_id(0) % parts * steps * PIXELS
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    scale, offset, mu = _affine(gain + image * row, bias + image * row, mean, inverse, c, channels)
    base = (image.to(tl.int64) * pixels + first) * channels
    x += base
    grad += base
    count = tl.minimum(pixels - first, steps * PIXELS)
    total = tl.zeros((PIXELS, CHANNELS), tl.float32)
    products = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for step in range(steps):
        at = step * PIXELS + tl.arange(0, PIXELS)
        mask = (at < count)[:, None] & (c < channels)[None, :]
        where = at[:, None] * channels + c[None, :]
        value = tl.load(x + where, mask=mask, other=0.0).to(tl.float32) - mu[None, :]
        g = tl.load(grad + where, mask=mask, other=0.0).to(tl.float32)
        g = tl.where(value * scale[None, :] + offset[None, :] > 0.0, g, 0.0)
        total += g
        # A pixel outside has g = 0 and a value that is not finite only if the mean is not.
        products += g * value
    here = sums + tl.program_id(0) * channels + c
    tl.store(here, tl.sum(total, axis=0), mask=c < channels)
    product = tl.sum(products, axis=0) * tl.load(inverse + c, mask=c < channels, other=0.0)
    tl.store(here + stride, product, mask=c < channels)


@triton.jit
def _feature_gradient_kernel(
    grad, x, gain, bias, mean, inverse, slope, level, grad_x, pixels, channels, blocks, row,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """g gain inverse - (x - mean) slope - level of one tile of one image."""
    image = tl.program_id(0) // blocks
    at = tl.program_id(0) % blocks * PIXELS + tl.arange(0, PIXELS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    scale, offset, mu = _affine(gain + image * row, bias + image * row, mean, inverse, c, channels)
    a = tl.load(slope + c, mask=c < channels, other=0.0)
    b = tl.load(level + c, mask=c < channels, other=0.0)
    mask = (at < pixels)[:, None] & (c < channels)[None, :]
    where = image.to(tl.int64) * pixels * channels + at[:, None] * channels + c[None, :]
    value = tl.load(x + where, mask=mask, other=0.0).to(tl.float32) - mu[None, :]
    g = tl.load(grad + where, mask=mask, other=0.0).to(tl.float32)
    g = tl.where(value * scale[None, :] + offset[None, :] > 0.0, g, 0.0)
    result = g * scale[None, :] - (value * a[None, :] + b[None, :])
    tl.store(grad_x + where, result.to(grad_x.dtype.element_ty), mask=mask)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """As `batch_norm.Kernels` says."""
    channels = x.shape[3]
    pixels = x.numel() // channels  # of all images: they are one row of pixels here
    height, width = _tile(pixels, channels, SUMMED_TILE)
    columns = triton.cdiv(channels, width)
    parts, steps = _split(pixels, height, others=columns)
    means, squares = torch.empty(2, channels, parts, dtype=torch.float32, device=x.device)
    mean, var = torch.empty(2, channels, dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        _moments_kernel[parts, columns](
            x, means, squares, pixels, channels, parts, steps, PIXELS=height, CHANNELS=width
        )
        _merge_kernel[channels,](
            means, squares, mean, var, pixels, parts, steps * height, PARTS=triton.next_power_of_2(parts)
        )
    return mean, var


def norm_relu(x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    """As `batch_norm.Kernels` says."""
    y = torch.empty_like(x)
    _on_tiles(_norm_relu_kernel, x, x, gain, bias, mean, inverse, y, row=_row(gain))
    return y


def affine_gradients(grad: Tensor, x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    """As `batch_norm.Kernels` says."""
    n, pixels, channels = _sizes(x)
    height, width = _tile(pixels, channels, SUMMED_TILE)
    columns = triton.cdiv(channels, width)
    parts, steps = _split(pixels, height, others=n * columns)
    sums = torch.empty(2, n, parts, channels, dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        _affine_gradients_kernel[n * parts, columns](
            grad, x, gain, bias, mean, inverse, sums, pixels, channels, parts, steps, _row(gain), sums.stride(0),
            PIXELS=height, CHANNELS=width,
        )  # fmt: skip
    return sums.sum(2) if parts > 1 else sums[:, :, 0]


def feature_gradient(
    grad: Tensor, x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor, slope: Tensor, level: Tensor
) -> Tensor:
    """As `batch_norm.Kernels` says."""
    grad_x = torch.empty_like(x)
    tensors = (grad, x, gain, bias, mean, inverse, slope, level, grad_x)
    _on_tiles(_feature_gradient_kernel, x, *tensors, row=_row(gain))
    return grad_x


def _on_tiles(kernel: triton.JITFunction, x: Tensor, *tensors: Tensor, row: int) -> None:
    """Run a kernel whose programs each take one tile of one image."""
    n, pixels, channels = _sizes(x)
    height, width = _tile(pixels, channels, TILE)
    blocks = triton.cdiv(pixels, height)
    with torch.cuda.device_of(x):
        kernel[n * blocks, triton.cdiv(channels, width)](
            *tensors, pixels, channels, blocks, row, PIXELS=height, CHANNELS=width
        )


def _sizes(x: Tensor) -> tuple[int, int, int]:
    """Return images, pixels of each, and channels of (N, H, W, C)."""
    return x.shape[0], x.shape[1] * x.shape[2], x.shape[3]


def _tile(pixels: int, channels: int, numbers: int) -> tuple[int, int]:
    """Return pixels and channels of a tile, powers of 2, of at most so many numbers."""
    width = min(triton.next_power_of_2(channels), TILE_CHANNELS)
    return min(triton.next_power_of_2(pixels), numbers // width), width


def _split(pixels: int, height: int, others: int) -> tuple[int, int]:
    """Return in how many parts to sum pixels, and how many tiles of `height` pixels a part has.

    Args:
        others: programs beside each other for every part.
    """
    tiles = triton.cdiv(pixels, height)
    steps = triton.cdiv(tiles, max(PROGRAMS // others, 1))
    return triton.cdiv(tiles, steps), steps


def _row(gain: Tensor) -> int:
    """Return how many numbers lie between the gains, and biases, of two images: none where all have the same."""
    return gain.shape[1] if len(gain) > 1 and gain.stride(0) else 0
