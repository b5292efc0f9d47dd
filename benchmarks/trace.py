"""What a D and a G update launch on a GPU: operators, types and layouts, traced with fake tensors on any machine.

`python -m benchmarks.trace --preset imagenet_128_projection --batch 64 --batch-g 128`

Counted are both networks forward and backward in bfloat16, eagerly. Left out are the optimiser and the power
iterations, which three launches take for all weights. Bytes are those of all operands, each read or written once: what
a library copies inside an operator is not seen.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, get_args
from unittest import mock

import torch
from torch import Tensor

from benchmarks.fake_gpu import CUDA, Launch, Trace, fake_gpu, in_bfloat16, operands_of, run_backward
from benchmarks.job import Job
from sngan_cond import Discriminator, Generator, build_constraint
from sngan_cond.cli import run_command
from sngan_cond.config import ConvBackend
from sngan_cond.constraints.spectral import SpectralNormalization
from sngan_cond.fast.power_iteration import power_iteration
from sngan_cond.objectives import discriminator_objective, generator_objective
from train.config import TrainConfig
from train.errors import TrainError
from train.presets.load import load_config
from train.sections import SpeedConfig
from train.trainer.speed import lay_out


def trace_update(
    config: TrainConfig,
    network: Literal["D", "G"],
    *,
    batch: int,
    speed: SpeedConfig | None = None,
    has_kernels: bool = True,
) -> list[Launch]:
    """Trace one update.

    Args:
        config: of a run; its networks are those that are trained, at full width: fake tensors have no memory.
        batch: real images of a D update, and as many fakes; fakes of a G update.
        speed: backend and layout of the networks.
        has_kernels: whether stand-ins take the place of our own kernels for GPUs, or PyTorch's operators, which run
            under tools such as this one.
    """
    with torch.device("meta"):
        G, D = Generator(config.generator), Discriminator(config.discriminator)
        constraint = build_constraint(config.constraint)
        constraint.attach(D)
    for net in (G, D):
        lay_out(net, speed or SpeedConfig(), CUDA)
    trace = Trace()
    kernels = _stand_ins(trace) if has_kernels else nullcontext()
    with fake_gpu(), _without_power_iterations(trace), kernels:
        for net in (G, D):
            net._apply(lambda t: torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=CUDA))
            net.forward = in_bfloat16(net.forward)  # type: ignore[method-assign]
        d_batch, g_batch = Job(config, CUDA, batch, batch).draw()
        with trace:
            if network == "D":
                objective = discriminator_objective(D, G, d_batch, loss=config.loss, constraint=constraint)
            else:
                D.requires_grad_(False)
                objective = generator_objective(D, G, *g_batch, loss=config.loss)
            trace.is_backward = True
            run_backward(objective.total)
    return trace.launches


@contextmanager
def _without_power_iterations(trace: Trace) -> Iterator[None]:
    """Let the layers take their power iterations unnoted, one after another as without a GPU."""

    def run(*arguments: Any) -> Any:
        trace.notes = False
        try:
            return power_iteration(*arguments)
        finally:
            trace.notes = True

    with (
        mock.patch("sngan_cond.constraints.spectral.power_iteration", run),
        mock.patch.object(SpectralNormalization, "stores", False),
    ):
        yield


@contextmanager
def _stand_ins(trace: Trace) -> Iterator[None]:
    """Put in the place of our kernels what makes their results' shapes and notes them."""
    kernels = _BatchNormKernels(trace)
    with (
        mock.patch("sngan_cond.fast.batch_norm.runs_eagerly", return_value=True),
        mock.patch("sngan_cond.fast.batch_norm.has_triton", return_value=True),
        mock.patch("sngan_cond.fast.batch_norm._kernels", return_value=kernels),
        mock.patch("sngan_cond.fast.power_iteration.runs_eagerly", return_value=True),
    ):
        yield


class _BatchNormKernels:
    """The passes of `sngan_cond.fast.batch_norm.Kernels`."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def moments(self, x: Tensor) -> tuple[Tensor, ...]:
        mean, var = (x.new_empty(x.shape[3:], dtype=torch.float32) for _ in range(2))
        self._note("batch_norm_moments", (x,), mean, var)
        return self._note("batch_norm_merge", (), mean, var)  # of what the programs of a kernel found

    def norm_relu(self, x: Tensor, *others: Tensor) -> Tensor:
        return self._note("batch_norm_relu", (x, *others), torch.empty_like(x))[0]

    def affine_gradients(self, grad: Tensor, x: Tensor, *others: Tensor) -> Tensor:
        sums = x.new_empty((2, x.shape[0], x.shape[3]), dtype=torch.float32)
        self._note("batch_norm_affine_gradients", (grad, x, *others), sums)
        return self._note("batch_norm_merge", (), sums)[0]

    def feature_gradient(self, grad: Tensor, x: Tensor, *others: Tensor) -> Tensor:
        return self._note("batch_norm_feature_gradient", (grad, x, *others), torch.empty_like(x))[0]

    def _note(self, name: str, inputs: tuple[Tensor, ...], *outputs: Tensor) -> tuple[Tensor, ...]:
        # To the tracer features are (N, C, H, W), whatever view of them a kernel takes.
        kinds = (operands_of([t.permute(0, 3, 1, 2) if t.ndim == 4 else t for t in tree]) for tree in (inputs, outputs))
        self._trace.launches.append(Launch(name, *kinds, self._trace.is_backward))
        return outputs


def main(arguments: list[str] | None = None) -> int:
    """Trace and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trace", description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="imagenet_128_projection", help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=64, help="images of a D update (default: %(default)s)")
    parser.add_argument("--batch-g", type=int, help="images of a G update (default: twice --batch)")
    parser.add_argument(
        "--convolution",
        default="auto",
        choices=get_args(ConvBackend),
        help="default: %(default)s",
    )
    parser.add_argument("--pad-channels", action="store_true", help="as speed.pad_channels=true")
    parser.add_argument("--top", type=int, default=12, help="operators listed, by bytes (default: %(default)s)")
    return run_command(lambda: _run(parser.parse_args(arguments)), TrainError, name=f"{parser.prog}: ")


def _run(options: argparse.Namespace) -> None:
    config = load_config(options.preset, [])
    speed = SpeedConfig(convolution=options.convolution, pad_channels=options.pad_channels or "auto")
    for network, batch in (("D", options.batch), ("G", options.batch_g or 2 * options.batch)):
        launches = trace_update(config, network, batch=batch, speed=speed)  # type: ignore[arg-type]
        print(f"{network}, batch {batch}: {len(launches)} launches, {sum(x.bytes for x in launches) / 1e9:.1f} GB")
        counts = Counter(launch.name for launch in launches)
        sizes: Counter[str] = Counter()
        for launch in launches:
            sizes[launch.name] += launch.bytes
        for name, size in sizes.most_common(options.top):
            print(f"    {name:30} {counts[name]:4} {size / 1e9:7.2f} GB")


if __name__ == "__main__":
    sys.exit(main())
