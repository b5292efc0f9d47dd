"""The implementations that are compared, behind one face: two calls, and what PyTorch keeps globally for each."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.job import Job, build_ours, build_reference
from benchmarks.machine import WALL, Clock, in_turn, median_ratio, quartiles, seconds
from benchmarks.rival import Mode, RivalUpdates
from sngan_cond.objectives import DiscriminatorBatch
from train.run.numerics import numerics_within

N_DIS = 5
Batches = tuple[DiscriminatorBatch, tuple[Tensor, Tensor]]  # of `Job.draw`


class GlobalSettings(NamedTuple):
    """What of a side's arithmetic is global in PyTorch, and so must be set before each of its calls.

    Args:
        tf32: whether float32 products on a GPU may round their inputs to 10 bits of mantissa.
        cudnn_benchmark: whether cuDNN chooses its algorithms by trying them.
    """

    tf32: bool
    cudnn_benchmark: bool

    def applied(self) -> AbstractContextManager[None]:
        """Set both, and afterwards what was set before."""
        return numerics_within(**self._asdict())


class Side(NamedTuple):
    """One implementation with its inputs.

    Args:
        d: takes a D update and returns its loss, ().
        g: takes a G update and returns its loss, ().
        bf16: whether products run in bfloat16.
        compiled: what of it is compiled or recorded, in words.
        warm_up: calls of each update before its time counts: something is compiled, recorded or chosen in them.
        notes: what of it could not be had, and why.
    """

    d: Callable[[], Tensor]
    g: Callable[[], Tensor]
    numerics: GlobalSettings
    bf16: bool
    compiled: str = "no"
    warm_up: int = 1
    notes: tuple[str, ...] = ()

    def update(self, name: str) -> Tensor:
        """Take the update "d" or "g" under this side's numerics."""
        with self.numerics.applied():
            return self.d() if name == "d" else self.g()

    def settings(self) -> dict[str, Any]:
        """Return what is written beside its figures."""
        return {"bf16": self.bf16, "compiled": self.compiled, **self.numerics._asdict()}


def reference_side(job: Job, batches: Batches) -> Side:
    """Build the plain reference: float32 without TF32, cuDNN as PyTorch sets it."""
    updates = build_reference(job)
    d, g = batches
    real = d.real.contiguous()
    numerics = GlobalSettings(tf32=False, cudnn_benchmark=False)
    return Side(lambda: updates.discriminator(real, *d[1:4]), lambda: updates.generator(*g), numerics, bf16=False)


def rival_side(job: Job, batches: Batches, *, bf16: bool, tf32: bool, mode: Mode | None) -> Side:
    """Build the rival with the weights, and the state of the power iterations, of the plain reference.

    Args:
        mode: of torch.compile; None leaves it eager.
    """
    reference = build_reference(job)
    updates = RivalUpdates(job.config.generator, job.config.discriminator, job.device, bf16=bf16, mode=mode)
    updates.G.load_state_dict(reference.G.state_dict())
    updates.D.load_state_dict(reference.D.state_dict())
    d, g = batches
    return Side(
        lambda: updates.discriminator(*d[:4]),
        lambda: updates.generator(*g),
        GlobalSettings(tf32, cudnn_benchmark=True),
        bf16=bf16,
        compiled="no" if mode is None else f"torch.compile, mode={mode}",
        warm_up={None: 1, "default": 2, "reduce-overhead": 5}[mode],
    )


def our_side(job: Job, batches: Batches, switches: tuple[str, ...]) -> Side:
    """Build the package's updates with some switches on and all others off."""
    updates = build_ours(job, switches)
    d, g = batches
    return Side(
        lambda: updates.step_d([d])["loss"],
        lambda: updates.step_g([g])["loss"],
        GlobalSettings("tf32" in switches, cudnn_benchmark=True),
        bf16="bf16" in switches,
        compiled=" and ".join(name for name in ("compile", "capture") if name in switches) or "no",
        warm_up=5 if "capture" in switches else 1,
        notes=tuple(updates.notes),
    )


def warm_up(side: Side, device: torch.device, clock: Clock = WALL) -> float:
    """Take the updates of a side that do not count, and return their seconds."""
    calls = [partial(side.update, name) for name in "dg"]
    return round(sum(seconds(call, device, clock) for call in calls for _ in range(side.warm_up)), 3)


def compare(
    sides: Mapping[str, Side], job: Job, *, rounds: int, deadline: float = math.inf, clock: Clock = WALL
) -> dict[str, Any]:
    """Time warmed-up sides in turn.

    Args:
        sides: by name, "reference", "rival" and "ours"; the rival may be missing.
        deadline: as for `in_turn`.
    Returns:
        Figures of each side, and the ratios of its times to ours: `ratio` for the reference, `ratio_to_rival`.
    """
    calls = {(name, update): partial(side.update, update) for name, side in sides.items() for update in "dg"}
    times = in_turn(calls, rounds, job.device, clock, deadline=deadline)
    result: dict[str, Any] = {"rounds": len(times["ours", "d"])}
    for name, side in sides.items():
        d, g = (quartiles(times[name, update]) for update in "dg")
        result[name] = side.settings() | {
            "d_update_s": d[1],
            "g_update_s": g[1],
            "d_quartiles_s": [d[0], d[2]],
            "g_quartiles_s": [g[0], g[2]],
            "real_images_per_s": N_DIS * job.batch / (N_DIS * d[1] + g[1]),
        }
    for name, key in (("reference", "ratio"), ("rival", "ratio_to_rival")):
        result[key] = None
        if name in sides:
            result[key] = {
                f"{update}_update": median_ratio(times[name, update], times["ours", update]) for update in "dg"
            }
    return result
