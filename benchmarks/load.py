"""How fast data is prepared and fed: `python -m benchmarks.load [--quick] [--pictures DIR]`."""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image

from benchmarks.machine import RESULTS, ROOT, wait, write_result
from sngan_cond.cli import run_command
from train.data.dataset import PreparedDataset
from train.data.feed import RealBatches, Resident
from train.errors import DataError

BATCH_TOTAL = 64
RESULT = RESULTS / "load.json"


def write_photographs(folder: Path, count: int) -> None:
    """Write JPEGs of ImageNet's usual size and file size (500x375 px, about 110 kB): smooth colours and grain."""
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (15, 20, 3), np.uint8))
        smooth = coarse.resize((500, 375), Image.Resampling.BICUBIC)
        grain = rng.normal(0, 12, (375, 500, 1))
        pixels = np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8)
        path = folder / f"class {i % 10}" / f"{i:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=85)


class Stopwatch:
    """Wall-clock and processor seconds since it was made; the latter, ended child processes included, barely depend on
    what else the machine does."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._processor()

    @staticmethod
    def _processor() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    @property
    def seconds(self) -> float:
        """Wall-clock seconds."""
        return time.perf_counter() - self._wall

    def rates(self, images: int) -> dict[str, Any]:
        """Images per wall-clock and per processor second."""
        seconds, processor = self.seconds, self._processor() - self._cpu
        return {
            "images": images,
            "seconds": round(seconds, 2),
            "images_per_s": round(images / seconds),
            "processor_seconds": round(processor, 2),
            "images_per_processor_s": round(images / processor),
        }


def prepare(source: str, out: Path, side_px: int, limit: int, workers: int) -> PreparedDataset:
    """Run the command as a user does."""
    line = [sys.executable, "-m", "train.prepare", "--source", source, "--resolution", str(side_px), "--out", str(out)]
    line += ["--limit", str(limit), "--workers", str(workers)]
    done = subprocess.run(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise DataError(done.stderr.strip().splitlines()[-1])
    return PreparedDataset.open(out)


def measure_prepare(images: Path, scratch: Path, limit: int, workers: int) -> dict[str, Any]:
    """Time the whole command at 128 px: its start and its workers', listing, decoding, writing, hashing."""
    watch = Stopwatch()
    dataset = prepare(f"imagefolder:{images.absolute()}", scratch / f"prepared-{workers}", 128, limit, workers)
    return {"what": "prepare", "side_px": 128, "workers": workers, **watch.rates(len(dataset))}


def measure_feed(dataset: PreparedDataset, device: str, resident: Resident, seconds: float) -> dict[str, Any]:
    """Time `RealBatches.at` in order for about `seconds`, dequantisation included."""
    batches = RealBatches(dataset, BATCH_TOTAL, seed=0, device=device, resident=resident)
    where = torch.device(device)
    for update in range(3):  # first reads, thread start, allocator
        batches.at(update)
    wait(where)
    watch, update = Stopwatch(), 3
    while watch.seconds < seconds:
        batches.at(update)
        update += 1
        if update % 50 == 0:
            wait(where)
    wait(where)
    rates = watch.rates((update - 3) * BATCH_TOTAL)
    batches.close()
    return {"what": "feed", "side_px": dataset.resolution, "device": device, "resident": resident, **rates}


def measure_all(images: Path | None, quick: bool) -> Iterator[dict[str, Any]]:
    """Make what is needed in a temporary folder and measure one thing after another."""
    count = 256 if quick else 4000
    devices = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if images is None:
            images = scratch / "photographs"
            write_photographs(images, min(count, 1000))
        for workers in sorted({1, 2, os.cpu_count() or 1}):
            yield measure_prepare(images, scratch, count, workers)
        for side in (32, 128):
            dataset = prepare("shapes", scratch / f"shapes-{side}", side, 1000 if quick else 10_000, 1)
            for device in devices:
                seconds = 1.0 if quick else 5.0
                yield measure_feed(dataset, device, "never", seconds)
                yield measure_feed(dataset, device, "always", seconds)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a line each, and write everything as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__.partition(":")[0])
    parser.add_argument("--quick", action="store_true", help="few images and a second a measurement (default: several)")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="image folder to prepare (default: made-up JPEGs)")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE", help="JSON file (default: %(default)s)")
    return run_command(lambda: _run(parser.parse_args(arguments)), DataError, name=f"{parser.prog}: ")


def _run(options: argparse.Namespace) -> None:
    machine = {
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "pillow": PIL.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    results = []
    for result in measure_all(options.pictures, options.quick):
        print("  ".join(f"{name} {value}" for name, value in result.items()), flush=True)
        results.append(result)
    source = str(options.pictures) if options.pictures else "made-up JPEGs of 500x375 px"
    write_result(options.out, {"machine": machine, "pictures": source, "results": results})


if __name__ == "__main__":
    sys.exit(main())
