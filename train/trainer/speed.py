"""How fast a run goes about its updates: switches that change speed and rounding, never what is computed."""

from typing import NamedTuple

import torch
from torch import nn

from sngan_cond import Constraint
from sngan_cond.fast import set_backend
from train.sections import SpeedConfig, Switch


class SpeedPlan(NamedTuple):
    """Which parts of a `SpeedConfig` take effect in a run.

    Args:
        capture_g: whether the G update becomes CUDA graphs.
        batched_sn: whether all power iterations of a pass run together, before it.
        one_call: whether D scores real and fake images of its update in one call.
        notes: a line for each switch, asked for or chosen by auto, that is not available here, with the reason.
    """

    compile_g: bool
    compile_d: bool
    capture_g: bool
    capture_d: bool
    batched_sn: bool
    one_call: bool
    notes: tuple[str, ...]


def lay_out(network: nn.Module, config: SpeedConfig, device: torch.device) -> None:
    """Set backend and memory layout of a network in place, before optimisers and wrappers see its parameters."""
    set_backend(network, config.convolution, config.pad_channels)
    wanted = config.memory_format
    if wanted == "channels_last" or (wanted == "auto" and device.type == "cuda"):
        network.to(memory_format=torch.channels_last)


def plan_speed(
    config: SpeedConfig,
    *,
    device: torch.device,
    constraint: Constraint,
    exchanges_statistics: bool,
) -> SpeedPlan:
    """Decide what can be done, and say why what was asked for cannot.

    Args:
        constraint: on the discriminator.
        exchanges_statistics: whether G's batch norms communicate with other processes.
    """
    notes: list[str] = []
    spectral = constraint.config.kind == "spectral"
    # A graph replays the launches of one update; what a constraint draws or decides on the host would be recorded too,
    # and a subclass may do either.
    known = type(constraint) is Constraint
    plain = known and (not constraint.parts or (spectral and len(constraint.parts) == 1))

    def decide(name: str, switch: Switch, obstacle: str | None) -> bool:
        if switch is False or (switch == "auto" and device.type != "cuda"):
            return False
        if obstacle is not None:
            notes.append(f"{name}: off, because {obstacle}")
        return obstacle is None

    compile_g = decide("compile of G", config.compile, None)
    obstacle = None
    if any(part.twice for part in constraint.parts.values()):
        obstacle = "a gradient penalty differentiates twice, which torch.compile cannot"
    elif constraint.config.estimate != "matrix":
        obstacle = "its constraint changes its state between the forward and the backward pass"
    compile_d = decide("compile of D", config.compile, obstacle)
    both = "CUDA graphs need a GPU" if device.type != "cuda" else None
    if exchanges_statistics:  # in D's update too, which makes fakes
        both = both or "batch_norm=synchronised communicates inside the pass"
    capture_g = decide("capture of G", config.capture, both)
    what = ", ".join(constraint.parts) if known else type(constraint).__name__
    changes = None if plain else f"its constraint ({what}) draws or changes more than weights and u"
    capture_d = decide("capture of D", config.capture, both or changes)
    batched = decide("batched_sn", config.batched_sn, None) if spectral else False
    obstacle = None if constraint.one_call else "its constraint makes one call on all images another thing than two"
    # The official semantics rule it out, so auto need not say so in every run.
    asked = config.one_call is True or constraint.one_call
    one_call = decide("one_call", config.one_call, obstacle) if asked else False
    return SpeedPlan(compile_g, compile_d, capture_g, capture_d, batched, one_call, tuple(notes))
