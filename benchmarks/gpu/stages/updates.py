"""Every way through both updates: are their first losses the same, and what does each cost?

The ways that need no compiler come first; the compiled ones, and the ratios taken in turn, are stages of their own.
"""

import gc
import time
from collections.abc import Callable
from functools import partial

import torch

from benchmarks.arithmetic import add_shares, count_flop
from benchmarks.gpu.campaign import Campaign, Row, Rows
from benchmarks.gpu.timing import per_call_s
from benchmarks.job import Job
from benchmarks.machine import computes_in_bf16
from benchmarks.sides import N_DIS, Batches, Side, compare, our_side, reference_side, rival_side, warm_up

REFERENCE, OURS = "reference, float32", "ours, float32"  # what the others' first losses are held against
FASTEST = "ours, bfloat16, compiled, graphs"
PLAIN = ("convolution", "fused_adam", "batched_sn")
GRAPHS = (*PLAIN, "channels_last", "capture")
COMPILED = (*GRAPHS, "compile")

# Relative, of a hinge loss of order 1. float32: sums of some thousand terms in another order, and an H100 gave 1e-5.
# Mantissas of 10 bits (TF32) and 7 (bfloat16): 2^-11 and 2^-8 a rounding, of which the deepest path has two dozen.
ALLOWED = {"float32": 1e-4, "TF32": 1e-2, "bfloat16": 5e-2}

Way = Callable[[Job, Batches], Side]


def _ours(*switches: str) -> Way:
    return partial(our_side, switches=switches)


def eager_ways(device: torch.device) -> dict[str, Way]:
    """Return what needs no compiler, by name: implementation, type, machinery."""
    ways: dict[str, Way] = {REFERENCE: reference_side, OURS: _ours(*PLAIN)}
    has_bf16 = computes_in_bf16(device)
    if has_bf16:
        ways["ours, bfloat16"] = _ours(*PLAIN, "bf16")
    if device.type == "cuda":
        if has_bf16:
            ways["ours, bfloat16, graphs"] = _ours(*GRAPHS, "bf16")
        ways["ours, float32, graphs"] = _ours(*GRAPHS)
        ways["ours, TF32, graphs"] = _ours(*GRAPHS, "tf32")
    return ways


def compiled_ways(device: torch.device) -> dict[str, Way]:
    """Return what is compared in turn: the reference, our fastest, and the rival; on a CPU without their compiler."""
    ways: dict[str, Way] = {REFERENCE: reference_side, OURS: _ours(*PLAIN)}
    if device.type == "cuda":
        ways[FASTEST] = _ours(*COMPILED, "bf16")
        for name, mode in (("graphs", "reduce-overhead"), ("no graphs", "default")):
            ways[f"rival, bfloat16, compiled, {name}"] = partial(rival_side, bf16=True, tf32=False, mode=mode)
    else:
        ways["rival, float32"] = partial(rival_side, bf16=False, tf32=False, mode=None)
    return ways


def eager_32(campaign: Campaign) -> Rows:
    """Measure the ways without a compiler at 32 px."""
    yield from _measure(campaign, 32, eager_ways)


def eager_128(campaign: Campaign) -> Rows:
    """Measure the ways without a compiler at 128 px."""
    yield from _measure(campaign, 128, eager_ways)


def compiled_32(campaign: Campaign) -> Rows:
    """Measure the compiled ways and the ratios at 32 px."""
    yield from _measure(campaign, 32, compiled_ways, compared=True)


def compiled_128(campaign: Campaign) -> Rows:
    """Measure the compiled ways and the ratios at 128 px."""
    yield from _measure(campaign, 128, compiled_ways, compared=True)


def title(side_px: int, *, compiled: bool) -> str:
    """Return the title of the table of a resolution."""
    return f"Updates at {side_px} px, {'compiled' if compiled else 'without a compiler'}"


def _measure(
    campaign: Campaign, side_px: int, ways: Callable[[torch.device], dict[str, Way]], *, compared: bool = False
) -> Rows:
    """Measure ways one by one, then those that are compared in turn; ends in an error if any way failed."""
    job = campaign.job(side_px)
    meter = _Meter(job, calls=2 if campaign.narrow else 30)
    for name, way in ways(job.device).items():
        yield title(side_px, compiled=compared), meter.row(name, way, keep=compared)
    if compared:
        yield from _ratios(side_px, job, meter.kept, rounds=3 if campaign.narrow else 9)
    if meter.failures:
        raise RuntimeError("; ".join(meter.failures))


def _ratios(side_px: int, job: Job, kept: dict[str, Side], *, rounds: int) -> Rows:
    """Time our fastest side and each other in turn; which is ours is who came last among ours."""
    which, ours = [item for item in kept.items() if item[0].startswith("ours")][-1]
    for name, side in kept.items():
        if not name.startswith("ours"):
            found = compare({"reference": side, "ours": ours}, job, rounds=rounds)
            steps = [N_DIS * found[who]["d_update_s"] + found[who]["g_update_s"] for who in ("reference", "ours")]
            ratios: Row = {"which": which, "against": name, "images of D, G": f"{job.batch}, {job.batch_g}"}
            ratios |= {"D, times": found["ratio"]["d_update"], "G, times": found["ratio"]["g_update"]}
            yield f"Ratios at {side_px} px, taken in turn", ratios | {"5 D + G, times": steps[0] / steps[1]}


class _Meter:
    """Measures one way after another on the same inputs.

    Args:
        calls: of each update, at most.
    """

    def __init__(self, job: Job, *, calls: int) -> None:
        self.job, self.calls = job, calls
        self.batches = job.draw()
        self.kept: dict[str, Side] = {}
        self.failures: list[str] = []
        self._losses: dict[str, tuple[float, float]] = {}  # of the first way of each family
        self._flop: dict[str, dict[str, int]] = {}

    def row(self, name: str, way: Way, *, keep: bool) -> Row:
        """Build a way, hold its first losses against its family's, and time it."""
        try:
            return {"way": name} | self._measured(name, way, keep=keep)
        except Exception as error:  # a compiler's, Triton's or PyTorch's: the other ways can still be measured
            self.failures.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
            return {"way": name, "note": self.failures[-1]}

    def _measured(self, name: str, way: Way, *, keep: bool) -> Row:
        on_gpu = self.job.device.type == "cuda"
        gc.collect()  # graphs of the way before, which are in cycles, still hold its memory
        before = torch.cuda.memory_allocated() if on_gpu else 0
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        side = way(self.job, self.batches)
        losses = side.update("g").item(), side.update("d").item()
        warm_up(side, self.job.device)
        start_s = time.perf_counter() - started
        s = {update: per_call_s(partial(side.update, update), self.job.device, most=self.calls) for update in "dg"}
        peak = torch.cuda.max_memory_allocated() - before if on_gpu else None
        step_s = N_DIS * s["d"] + s["g"]
        row: Row = {"D, ms": 1e3 * s["d"], "G, ms": 1e3 * s["g"], "5 D + G, ms": 1e3 * step_s}
        row |= {"real images/s": N_DIS * self.job.batch / step_s, "starts in, s": start_s}
        row |= {"memory, GiB": None if peak is None else peak / 2**30}
        row |= self._shares(name, side, s) | self._distance(name, losses)
        if keep:
            self.kept[name] = side
        return row

    def _shares(self, name: str, side: Side, s: dict[str, float]) -> Row:
        family = name.partition(",")[0].replace("rival", "reference")  # they have the same networks
        if family not in self._flop:
            self._flop[family] = count_flop(side)  # the first of a family is eager
        figures = side.settings() | {"d_update_s": s["d"], "g_update_s": s["g"]}
        add_shares(figures, self._flop[family], self.job.device)
        return {"D, share of peak": figures["d_share_of_peak"], "G, share of peak": figures["g_share_of_peak"]}

    def _distance(self, name: str, losses: tuple[float, float]) -> Row:
        family, dtype = name.split(", ")[:2]
        exact = self._losses.setdefault(family.replace("rival", "reference"), losses)
        off = max(abs(a - b) / max(abs(b), 0.1) for a, b in zip(losses, exact, strict=True))
        if not off <= ALLOWED[dtype]:
            self.failures.append(f"{name}: first losses {losses} are off by {off:.1e} of {exact}")
        return {"first losses off by": off, "allowed": ALLOWED[dtype]}
