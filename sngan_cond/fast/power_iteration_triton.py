"""Power iteration on many matrices in two Triton kernels a round and one at the end, whatever their number and shapes.

One matrix after another, a round would be some ten launches for each, which take longer than the computation. Here
one launch takes the same step for all matrices: its programs are the blocks of all of them, and a table says which is
whose.

A step ends with dividing a vector by its norm, which no program knows: each has made one block of the vector, and the
programs of a kernel cannot wait for each other. So a step is a kernel of its own, whose end is the only barrier needed.
A program stores its block undivided, with its share of the squared norm. The next kernel's programs sum up these
shares, a few numbers, and divide what they make of the vector: W (v / |v|) = (W v) / |v|. The last kernel divides u and
v themselves. Nothing is added atomically, so the result does not depend on the order in which programs run.

Sizes are chosen by reasoning about an H100, not measured yet. It reads 3.3 TB/s if some 18 KB are on their way to each
of its 132 multiprocessors. A program of 128 threads asks for 8 KB at once, and by the 48 registers that the compiled
kernels take for a thread, ten are resident on a multiprocessor, 1,320 on all. The 30 million weights of the
discriminator for 128 px make 1,230 programs for W^T u and 2,011 for W v.
"""

# mypy: disable-error-code="import-untyped, untyped-decorator, no-untyped-def, no-untyped-call"

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

EPS = 1e-12
COLUMNS = 32  # entries of W^T u that a program makes: neighbours in a row of W, 128 bytes, so that its reads coalesce
DEPTH = 64  # rows of W that it reads at a time
ROWS = 4  # entries of W v that a program makes
WIDTH = 512  # columns of W that it reads at a time
BLOCK = 1024  # entries of u or v that a program divides at the end


@triton.jit
def _columns_kernel(
    table, blocks, u, u_shares, v, v_shares, eps,
    FIRST: tl.constexpr, SHARES: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """v[block] = W^T (u / |u|), undivided; in the first round u has no shares yet and is taken as it stands."""
    layer = tl.load(blocks + 2 * tl.program_id(0))
    block = tl.load(blocks + 2 * tl.program_id(0) + 1)
    w, rows, columns, u_at, v_at, u_share_at, v_share_at = _entry(table, layer)
    offsets = block * COLUMNS + tl.arange(0, COLUMNS)
    inside = offsets < columns
    # Summed over DEPTH only after the loop: inside it, every element of the tile has a sum of its own.
    sums = tl.zeros((DEPTH, COLUMNS), tl.float32)
    for start in range(0, rows, DEPTH):
        at = start + tl.arange(0, DEPTH)
        part = tl.load(u + u_at + at, mask=at < rows, other=0.0)
        mask = (at < rows)[:, None] & inside[None, :]
        sums += part[:, None] * tl.load(w + at[:, None] * columns + offsets[None, :], mask=mask, other=0.0)
    total = tl.sum(sums, axis=0)
    if not FIRST:  # only now: before the loop, its first loads would wait for the shares
        total = total / (tl.sqrt(_sum_shares(u_shares + u_share_at, tl.cdiv(rows, ROWS), SHARES)) + eps)
    tl.store(v + v_at + offsets, total, mask=inside)
    tl.store(v_shares + v_share_at + block, tl.sum(total * total))


@triton.jit
def _rows_kernel(
    table, blocks, u, u_shares, v, v_shares, eps,
    SHARES: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """u[block] = W (v / |v|), undivided; over the old u, which no program of this kernel reads."""
    layer = tl.load(blocks + 2 * tl.program_id(0))
    block = tl.load(blocks + 2 * tl.program_id(0) + 1)
    w, rows, columns, u_at, v_at, u_share_at, v_share_at = _entry(table, layer)
    own = block * ROWS + tl.arange(0, ROWS)
    # W is read a second time in this round, row by row: a row is contiguous, so programs of few rows read long runs.
    sums = tl.zeros((ROWS, WIDTH), tl.float32)
    for start in range(0, columns, WIDTH):
        offsets = start + tl.arange(0, WIDTH)
        inside = offsets < columns
        part = tl.load(v + v_at + offsets, mask=inside, other=0.0)
        mask = (own < rows)[:, None] & inside[None, :]
        sums += tl.load(w + own[:, None] * columns + offsets[None, :], mask=mask, other=0.0) * part[None, :]
    image = tl.sum(sums, axis=1)
    image = image / (tl.sqrt(_sum_shares(v_shares + v_share_at, tl.cdiv(columns, COLUMNS), SHARES)) + eps)
    tl.store(u + u_at + own, image, mask=own < rows)
    tl.store(u_shares + u_share_at + block, tl.sum(image * image))


@triton.jit
def _entry(table, layer):
    """Return a matrix, its sizes, and where its u, its v and their shares begin: a row of a plan's table."""
    entry = table + 7 * layer
    # The number of matrices differs by network and a kernel's arguments do not: their addresses come as integers.
    w = tl.load(entry).to(tl.pointer_type(tl.float32))
    # Offsets inside a matrix fit 32 bits, in which they take fewer registers and instructions.
    rows, columns = tl.load(entry + 1).to(tl.int32), tl.load(entry + 2).to(tl.int32)
    return w, rows, columns, tl.load(entry + 3), tl.load(entry + 4), tl.load(entry + 5), tl.load(entry + 6)


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
    """Divide one block of u and of v of one matrix by their norms, and read sigma off the norm of u.

    u is still W v, so |W v| needs no pass over W: sigma = (W v / (|W v| + eps)) . W v = |W v|^2 / (|W v| + eps).
    """
    layer = tl.program_id(0)
    _, rows, columns, u_at, v_at, u_share_at, v_share_at = _entry(table, layer)
    u_square = _sum_shares(u_shares + u_share_at, tl.cdiv(rows, ROWS), SHARES)
    v_square = _sum_shares(v_shares + v_share_at, tl.cdiv(columns, COLUMNS), SHARES)
    # Adding eps to the norm, not under the root, is what the official code does; a matrix of zeros gives zeros.
    u_length, v_length = tl.sqrt(u_square) + eps, tl.sqrt(v_square) + eps
    if tl.program_id(1) == 0:
        tl.store(sigma + layer, u_square / u_length)
    offsets = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(u + u_at + offsets, mask=offsets < rows, other=0.0)
    tl.store(u + u_at + offsets, value / u_length, mask=offsets < rows)
    value = tl.load(v + v_at + offsets, mask=offsets < columns, other=0.0)
    tl.store(v + v_at + offsets, value / v_length, mask=offsets < columns)


class Plan:
    """For given matrices, which program does what: tables on the device, of addresses among other things.

    What runs in a CUDA graph reads them at every replay, so a plan must live as long as the graph.

    Args:
        matrices: each (rows, columns) float32 and contiguous, on one device.
    """

    def __init__(self, matrices: Sequence[Tensor]) -> None:
        self.key = _key(matrices)
        self.device = matrices[0].device
        self.heights, self.widths = [m.shape[0] for m in matrices], [m.shape[1] for m in matrices]
        self.u_shares = [triton.cdiv(height, ROWS) for height in self.heights]
        self.v_shares = [triton.cdiv(width, COLUMNS) for width in self.widths]
        # All u lie in one buffer, one behind the other, and so do all v and the shares of both.
        lengths = (self.heights, self.widths, self.u_shares, self.v_shares)
        starts = [[0, *accumulate(counts)][:-1] for counts in lengths]
        addresses = [matrix.data_ptr() for matrix in matrices]
        self.table = self._table(zip(addresses, self.heights, self.widths, *starts, strict=True))
        # Programs with the longest loops start first, and short ones fill the gaps at the end.
        self.columns_blocks = self._table(_blocks(self.v_shares, loops=self.heights))
        self.rows_blocks = self._table(_blocks(self.u_shares, loops=self.widths))

    def _table(self, rows: Iterable[Sequence[int]]) -> Tensor:
        return torch.tensor(list(rows), dtype=torch.int64, device=self.device)

    def run(self, us: Sequence[Tensor], iterations: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Take rounds of power iteration; copies nothing from the host, so a CUDA graph can capture it.

        Args:
            us: for each matrix (rows,) float32.
            iterations: rounds, at least 1.
        Returns:
            For each u, v and sigma, as of `power_iteration.power_iteration`.
        """
        u = torch.cat(list(us))  # a copy: the kernels write into it, and the caller decides whether to keep the new u
        lengths = (sum(self.u_shares), sum(self.widths), sum(self.v_shares), len(self.heights))
        u_shares, v, v_shares, sigma = (torch.empty(n, dtype=torch.float32, device=self.device) for n in lengths)
        buffers: tuple[Any, ...] = (u, u_shares, v, v_shares)
        sizes = {"ROWS": ROWS, "COLUMNS": COLUMNS, "SHARES": triton.next_power_of_2(max(self.u_shares + self.v_shares))}
        blocks = triton.cdiv(max(self.heights + self.widths), BLOCK)
        with torch.cuda.device_of(u):
            for i in range(iterations):
                _columns_kernel[len(self.columns_blocks),](
                    self.table, self.columns_blocks, *buffers, EPS, FIRST=i == 0, DEPTH=DEPTH, **sizes
                )
                _rows_kernel[len(self.rows_blocks),](self.table, self.rows_blocks, *buffers, EPS, WIDTH=WIDTH, **sizes)
            _finish_kernel[len(self.heights), blocks](self.table, *buffers, sigma, EPS, BLOCK=BLOCK, **sizes)
        return list(zip(torch.split(u, self.heights), torch.split(v, self.widths), sigma.unbind(), strict=True))


class Plans:
    """The plan for the matrices of one network, made anew where they have moved or have other shapes.

    Optimisers update weights in place, so one plan lasts as long as training. Plans that CUDA graphs recorded are kept.
    """

    def __init__(self) -> None:
        self._current: Plan | None = None
        self._recorded: list[Plan] = []

    def fitting(self, matrices: Sequence[Tensor]) -> Plan:
        """Return the plan for these matrices.

        Raises:
            RuntimeError: if a CUDA graph is being captured and there is none yet: tables are copied from the host.
        """
        capturing = _is_capturing(matrices[0].device)
        if self._current is None or self._current.key != _key(matrices):
            if capturing:
                raise RuntimeError(
                    "power iteration under capture: these weights must have been iterated eagerly before"
                )
            self._current = Plan(matrices)
        if capturing and self._current not in self._recorded:
            self._recorded.append(self._current)
        return self._current


def _key(matrices: Sequence[Tensor]) -> tuple[object, ...]:
    """Return what a plan depends on; as numbers, which a copy of the plan keeps though its matrices lie elsewhere."""
    return (matrices[0].device, *((matrix.data_ptr(), *matrix.shape) for matrix in matrices))


def _is_capturing(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def _blocks(counts: Sequence[int], loops: Sequence[int]) -> list[tuple[int, int]]:
    """Return (matrix, block) of each program, those with the longest loops first."""
    order = sorted(range(len(counts)), key=lambda layer: -loops[layer])
    return [(layer, block) for layer in order for block in range(counts[layer])]
