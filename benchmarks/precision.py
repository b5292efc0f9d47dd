"""How far bfloat16 is from float32: outputs, gradients, and the losses of whole short runs.

`python -m benchmarks.precision --preset shapes_32 --data data/shapes-32 --steps 200`
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from benchmarks.machine import RESULTS, ROOT, describe_machine, write_result
from sngan_cond import Discriminator, Generator, build_constraint
from sngan_cond.cli import run_command
from sngan_cond.objectives import DiscriminatorBatch, discriminator_objective, generator_objective
from train.config import TrainConfig
from train.errors import TrainError
from train.presets.load import load_config

CURVES = ("d/loss", "g/loss")
RUNS = {"fp32": ("fp32", 0), "bf16": ("bf16", 0), "fp32, another seed": ("fp32", 1)}


def one_pass(config: TrainConfig, device: torch.device, *, batch: int) -> dict[str, dict[str, float]]:
    """Compare what fresh networks give in both precisions, on the same weights and inputs.

    Returns:
        For images, scores and the gradients of both updates: the norm of the difference over that of float32's, and
        the cosine between them.
    """
    found = {precision: _outputs(config, device, precision, batch=batch) for precision in ("no", "bf16")}
    return {name: _distance(found["bf16"][name], value) for name, value in found["no"].items()}


def _outputs(config: TrainConfig, device: torch.device, precision: str, *, batch: int) -> dict[str, Tensor]:
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=precision)
    torch.manual_seed(0)
    G, D = Generator(config.generator).to(device), Discriminator(config.discriminator).to(device)
    constraint = build_constraint(config.constraint)
    constraint.attach(D)
    classes = config.num_classes
    real = torch.rand(batch, 3, config.resolution, config.resolution, device=device) * 2 - 1
    y, y_fake = (torch.randint(classes, (batch,), device=device) if classes else None for _ in range(2))
    z = torch.randn(batch, config.generator.latent_dim, device=device)
    G, D = accelerator.prepare(G, D)
    with torch.no_grad():
        values = {"images": G(z, y_fake).float(), "scores": D(real, y).score.float()}
    d_batch = DiscriminatorBatch(real, y, z, y_fake)
    d = discriminator_objective(D, G, d_batch, loss=config.loss, constraint=constraint)
    values["D gradients"] = _gradients(d.total, D)
    g = generator_objective(D, G, z, y_fake, loss=config.loss)
    values["G gradients"] = _gradients(g.total, G)
    return values


def _gradients(total: Tensor, network: nn.Module) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in torch.autograd.grad(total, list(network.parameters()))])


def _distance(ours: Tensor, exact: Tensor) -> dict[str, float]:
    ours, exact = ours.double().flatten(), exact.double().flatten()
    difference = (ours - exact).norm() / exact.norm()
    return {"relative": difference.item(), "cosine": torch.cosine_similarity(ours, exact, dim=0).item()}


def train_runs(preset: str, data: Path, steps: int, overrides: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Train the same short run in float32, in bfloat16, and in float32 under another seed.

    Returns:
        For each its losses, one a step.
    Raises:
        TrainError: if a run fails.
    """
    losses = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (precision, seed) in RUNS.items():
            run_dir = Path(folder) / f"{precision}-{seed}"
            settings = {
                "data.path": data.absolute(),
                "steps": steps,
                "decay_from": "null",
                "precision": precision,
                "seed": seed,
                "log_every": 1,
                "save_every": steps,
                "sample_every": steps,
                "trackers": "[]",
            }
            line = [sys.executable, "-m", "train", "--preset", preset, "--run-dir", str(run_dir), "--set"]
            line += [*(f"{key}={value}" for key, value in settings.items()), *overrides]
            done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise TrainError(f"{name}: the run failed: {done.stderr.strip().splitlines()[-1:]}")
            rows = [json.loads(row) for row in (run_dir / "scalars.jsonl").read_text().splitlines()]
            losses[name] = {curve: [row[curve] for row in rows] for curve in CURVES}
    return losses


def compare(losses: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """Compare curves: mean distance to float32's and mean of the last quarter, by run and loss."""
    compared = {}
    for name, curves in losses.items():
        numbers = {}
        for curve, values in curves.items():
            own, exact = (torch.tensor(v, dtype=torch.float64) for v in (values, losses["fp32"][curve]))
            numbers[f"{curve} distance"] = (own - exact).abs().mean().item()
            numbers[f"{curve} at the end"] = own[-max(len(own) // 4, 1) :].mean().item()
        compared[name] = numbers
    return compared


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="shapes_32", help="what is trained (default: %(default)s)")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="prepared data set of the preset's side"
    )
    parser.add_argument("--steps", type=int, default=200, help="G updates of each run (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="images of the single pass (default: %(default)s)")
    parser.add_argument(
        "--device", default="cpu", choices=["cpu", "cuda"], help="where the single pass runs (default: cpu)"
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", dest="overrides", help="override keys of the preset"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="JSON file (default: benchmarks/results/precision-...)"
    )
    return run_command(lambda: _run(parser.parse_args(arguments)), TrainError, name=f"{parser.prog}: ")


def _run(options: argparse.Namespace) -> None:
    config = load_config(options.preset, options.overrides)
    single = one_pass(config, torch.device(options.device), batch=options.batch)
    for name, numbers in single.items():
        print(f"{name:12} differ by {numbers['relative']:.2e} of their norm, cosine {numbers['cosine']:.6f}")
    losses = train_runs(options.preset, options.data, options.steps, options.overrides)
    compared = compare(losses)
    for name, numbers in compared.items():
        print(f"{name:20} " + "  ".join(f"{what} {value:.4f}" for what, value in numbers.items()))
    result: dict[str, Any] = {"preset": options.preset, "steps": options.steps, "overrides": options.overrides}
    result |= {"single_pass": single, "compared": compared, "losses": losses}
    result["machine"] = describe_machine(torch.device(options.device))
    write_result(options.out or RESULTS / f"precision-{options.preset}.json", result)


if __name__ == "__main__":
    sys.exit(main())
