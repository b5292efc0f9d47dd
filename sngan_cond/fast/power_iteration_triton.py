"""Power iteration on many matrices in two Triton kernels a round and one at the end, whatever their number and shapes.

One matrix after another, a round would be some ten launches for each, which take longer than the computation. Here
one launch takes the same step for all matrices: its programs are the blocks of all of them, and a table says which is
whose.

A step ends with dividing a vector by its norm, which no program knows: each has made one block of the vector, and the
programs of a kernel cannot wait for each other. So a step is a kernel of its own, whose end is the only barrier needed.
A program stores its block undivided, with its share of the squared norm. The next kernel's programs sum up these
shares, a few numbers, and divide what they make of the vector: W (v / |v|) = (W v) / |v|. The last kernel divides u and
v themselves. Nothing is added atomically, so the result does not depend on the order in which programs run.
"""

# mypy: disable-error-code="import-untyped, untyped-decorator, no-untyped-def"

import functools
from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

EPS = 1e-12
COLUMNS = 128  # entries of W^T u that a program makes: neighbours in a row of W, so that its reads coalesce
ROWS = 4  # entries of W v that a program makes
DEPTH = 16  # rows of W that a program of W^T u reads at a time


@triton.jit
def _columns_kernel(
    table, blocks, u, u_shares, v, v_shares, eps,
    FIRST: tl.constexpr, SHARES: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """v[block] = W^T (u / |u|), undivided; in the first round u has no shares yet and is taken as it stands."""
    layer = tl.load(blocks + 2 * tl.program_id(0))
    block = tl.load(blocks + 2 * tl.program_id(0) + 1)
    entry = table + 8 * layer  # a row of `_tables`
    # The number of matrices differs by network and a kernel's arguments do not: their addresses come as integers.
    w = tl.load(entry).to(tl.pointer_type(tl.float32))
    rows, columns = tl.load(entry + 1), tl.load(entry + 2)
    u_at, v_at, u_share_at, v_share_at = tl.load(entry + 3), tl.load(entry + 4), tl.load(entry + 5), tl.load(entry + 6)
    scale = 1.0
    if not FIRST:
        scale = 1.0 / (tl.sqrt(_sum_shares(u_shares + u_share_at, tl.cdiv(rows, tl.load(entry + 7)), SHARES)) + eps)
    offsets = block * COLUMNS + tl.arange(0, COLUMNS)
    inside = offsets < columns
    # Summed over DEPTH only after the loop: inside it, every element of the tile has a sum of its own.
    sums = tl.zeros((DEPTH, COLUMNS), tl.float32)
    for start in range(0, rows, DEPTH):
        at = start + tl.arange(0, DEPTH)
        part = tl.load(u + u_at + at, mask=at < rows, other=0.0)
        mask = (at < rows)[:, None] & inside[None, :]
        sums += part[:, None] * tl.load(w + at[:, None] * columns + offsets[None, :], mask=mask, other=0.0)
    total = tl.sum(sums, axis=0) * scale
    tl.store(v + v_at + offsets, total, mask=inside)
    tl.store(v_shares + v_share_at + block, tl.sum(total * total))


@triton.jit
def _rows_kernel(
    table, blocks, u, u_shares, v, v_shares, eps, SHARES: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """u[block] = W (v / |v|), undivided; over the old u, which no program of this kernel reads."""
    layer = tl.load(blocks + 2 * tl.program_id(0))
    block = tl.load(blocks + 2 * tl.program_id(0) + 1)
    entry = table + 8 * layer
    w = tl.load(entry).to(tl.pointer_type(tl.float32))
    rows, columns = tl.load(entry + 1), tl.load(entry + 2)
    u_at, v_at, u_share_at, v_share_at = tl.load(entry + 3), tl.load(entry + 4), tl.load(entry + 5), tl.load(entry + 6)
    scale = 1.0 / (tl.sqrt(_sum_shares(v_shares + v_share_at, tl.cdiv(columns, COLUMNS), SHARES)) + eps)
    own = block * ROWS + tl.arange(0, ROWS)
    # W is read a second time in this round, row by row: a row is contiguous, so programs of few rows read long runs.
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, columns, COLUMNS):
        offsets = start + tl.arange(0, COLUMNS)
        inside = offsets < columns
        part = tl.load(v + v_at + offsets, mask=inside, other=0.0)
        mask = (own < rows)[:, None] & inside[None, :]
        total += tl.load(w + own[:, None] * columns + offsets[None, :], mask=mask, other=0.0) * part[None, :]
    image = tl.sum(total, axis=1) * scale
    tl.store(u + u_at + own, image, mask=own < rows)
    tl.store(u_shares + u_share_at + block, tl.sum(image * image))


@triton.jit
def _sum_shares(shares, count, SHARES: tl.constexpr):
    """Return a squared norm; SHARES is a power of 2 that the `count` of no matrix exceeds."""
    offsets = tl.arange(0, SHARES)
    return tl.sum(tl.load(shares + offsets, mask=offsets < count, other=0.0))


@triton.jit
def _finish_kernel(
    table, u, u_shares, v, v_shares, sigma, eps,
    SHARES: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Divide u and v of one matrix by their norms, and read sigma off the norm of u.

    u is still W v, so |W v| needs no pass over W: sigma = (W v / (|W v| + eps)) . W v = |W v|^2 / (|W v| + eps).
    """
    layer = tl.program_id(0)
    entry = table + 8 * layer
    rows, columns = tl.load(entry + 1), tl.load(entry + 2)
    u_at, v_at, u_share_at, v_share_at = tl.load(entry + 3), tl.load(entry + 4), tl.load(entry + 5), tl.load(entry + 6)
    u_square = _sum_shares(u_shares + u_share_at, tl.cdiv(rows, ROWS), SHARES)
    v_square = _sum_shares(v_shares + v_share_at, tl.cdiv(columns, COLUMNS), SHARES)
    # Adding eps to the norm, not under the root, is what the official code does; a matrix of zeros gives zeros.
    u_length, v_length = tl.sqrt(u_square) + eps, tl.sqrt(v_square) + eps
    tl.store(sigma + layer, u_square / u_length)
    for start in range(0, rows, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        value = tl.load(u + u_at + offsets, mask=offsets < rows, other=0.0)
        tl.store(u + u_at + offsets, value / u_length, mask=offsets < rows)
    for start in range(0, columns, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        value = tl.load(v + v_at + offsets, mask=offsets < columns, other=0.0)
        tl.store(v + v_at + offsets, value / v_length, mask=offsets < columns)


def power_iterations(
    matrices: Sequence[Tensor], us: Sequence[Tensor], iterations: int
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Take rounds of power iteration on many contiguous float32 matrices on one device.

    The first call with given matrices copies their addresses to the device. Later ones copy nothing from the host, so a
    CUDA graph can capture them.

    Args:
        matrices: each (rows, columns).
        us: for each (rows,).
        iterations: rounds, at least 1.
    Returns:
        For each u, v and sigma, as of `power_iteration.power_iteration`.
    """
    device = matrices[0].device
    # All u lie in one buffer and all v in another, one behind the other: four buffers serve any number of matrices.
    key = tuple((matrix.data_ptr(), *matrix.shape) for matrix in matrices)
    table, columns_blocks, rows_blocks, shares = _tables(key, device)
    heights, widths = [m.shape[0] for m in matrices], [m.shape[1] for m in matrices]
    u = torch.cat(list(us))  # a copy: the kernels write into it, and the caller decides whether to keep the new u
    v = torch.empty(sum(widths), device=device)
    u_shares = torch.empty(sum(triton.cdiv(h, ROWS) for h in heights), device=device)
    v_shares = torch.empty(sum(triton.cdiv(w, COLUMNS) for w in widths), device=device)
    sigma = torch.empty(len(matrices), device=device)
    buffers: tuple[Any, ...] = (u, u_shares, v, v_shares)
    for round_ in range(iterations):
        _columns_kernel[(len(columns_blocks),)](
            table, columns_blocks, *buffers, EPS, FIRST=round_ == 0, SHARES=shares, COLUMNS=COLUMNS, DEPTH=DEPTH
        )
        _rows_kernel[(len(rows_blocks),)](table, rows_blocks, *buffers, EPS, SHARES=shares, ROWS=ROWS, COLUMNS=COLUMNS)
    _finish_kernel[(len(matrices),)](table, *buffers, sigma, EPS, SHARES=shares, ROWS=ROWS, COLUMNS=COLUMNS, BLOCK=1024)
    return list(zip(torch.split(u, heights), torch.split(v, widths), sigma.unbind(), strict=True))


@functools.lru_cache(maxsize=8)
def _tables(key: tuple[tuple[int, ...], ...], device: torch.device) -> tuple[Tensor, Tensor, Tensor, int]:
    """Lay out matrices, vectors and shares of norms.

    Args:
        key: (address, rows, columns) of each matrix; optimisers update weights in place, so addresses last.
    Returns:
        The table, whose rows are (address, rows, columns, where u, v, u's and v's shares begin, ROWS); (matrix, block)
        of each program of either kernel; and a power of 2 that no matrix's number of shares exceeds.
    """
    table, columns_blocks, rows_blocks = [], [], []
    at = [0, 0, 0, 0]
    shares = 1
    for layer, (address, rows, columns) in enumerate(key):
        counts = [rows, columns, triton.cdiv(rows, ROWS), triton.cdiv(columns, COLUMNS)]
        table.append([address, rows, columns, *at, ROWS])
        columns_blocks += [[layer, block] for block in range(counts[3])]
        rows_blocks += [[layer, block] for block in range(counts[2])]
        at = [position + count for position, count in zip(at, counts, strict=True)]
        shares = max(shares, counts[2], counts[3])
    tensors = [torch.tensor(rows, dtype=torch.int64, device=device) for rows in (table, columns_blocks, rows_blocks)]
    return tensors[0], tensors[1], tensors[2], triton.next_power_of_2(shares)
