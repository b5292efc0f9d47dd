"""What `make bench` measures, one after another: step, sample, spectral and load."""

import argparse
import json
import subprocess
import sys
from typing import Any

import torch

from benchmarks.machine import RESULTS, ROOT, computes_in_bf16

FP32_CPU = ("convolution", "fused_adam")
CPU = (*FP32_CPU, "bf16")
FP32_GPU = ("convolution", "channels_last", "fused_adam", "compile", "capture", "batched_sn", "tf32")
GPU = (*FP32_GPU, "bf16")
PRESETS = ("cifar10_32_projection", "imagenet_128_projection")


def _run(module: str, *arguments: str) -> int:
    print(f"== {module} {' '.join(arguments)}", flush=True)
    return subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, check=False).returncode


def _row(preset: str, device: str, precision: str) -> dict[str, Any] | None:
    path = RESULTS / f"step-{preset}-{device}-{precision}.json"
    return json.loads(path.read_text()) if path.exists() else None


def _print_table(device: str) -> None:
    print(f"\n{'':50} against the plain reference   against the rival   share of peak  real img/s")
    print(f"{'':50} {'D update':>14} {'G update':>14} {'D':>9} {'G':>9} {'D':>7} {'G':>7}")
    for preset in PRESETS:
        for precision in ("fp32", "bf16"):
            row = _row(preset, device, precision)
            if row is not None:
                print(_line(f"{preset}, {precision}, batch {row['batch']}", row))


def _line(name: str, row: dict[str, Any]) -> str:
    (plain_d, plain_g), (rival_d, rival_g) = (_times(row.get(key)) for key in ("ratio", "ratio_to_rival"))
    ours = row["ours"]
    shares = f"{ours['d_share_of_peak']:>7.0%} {ours['g_share_of_peak']:>7.0%}"
    rate = f"{ours['real_images_per_s']:10.1f}"
    return f"{name:50} {plain_d:>14} {plain_g:>14} {rival_d:>9} {rival_g:>9} {shares} {rate}"


def _times(ratio: dict[str, float] | None) -> tuple[str, str]:
    """Return the ratios of a D and of a G update; dashes where that side could not run."""
    return ("-", "-") if ratio is None else (f"{ratio['d_update']:.2f}x", f"{ratio['g_update']:.2f}x")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: %(default)s")
    device = parser.parse_args().device
    failed = 0
    fp32, all_switches = (FP32_CPU, CPU) if device == "cpu" else (FP32_GPU, GPU)
    settings = (fp32, all_switches) if computes_in_bf16(torch.device(device)) else (fp32,)
    if len(settings) == 1:
        print("bf16: not measured, this processor does not compute in it", flush=True)
    for preset in PRESETS:
        for switches in settings:
            each = ["--each"] if switches is settings[-1] else []
            arguments = ["--preset", preset, "--device", device, *each, "--switches", *switches]
            failed += _run("benchmarks.step", *arguments) != 0
        failed += _run("benchmarks.sample", "--preset", preset, "--device", device, "--batches", "1", "8") != 0
        failed += _run("benchmarks.spectral", "--preset", preset, "--device", device) != 0
    failed += _run("benchmarks.load", "--quick") != 0
    _print_table(device)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
