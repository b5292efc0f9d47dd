"""How much of an evaluation's time is not the extractor: `python -m benchmarks.evaluate [--device cuda] [--images N]`.

The time of a stream of fakes and of one of real images is split in three: the extractor's network, the generator's
network, and everything else (latents, labels, reading, conversion, copies), which is to stay a small part.
"""

import argparse
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from train.run.allocator import reexec_with_fast_allocator

if __name__ == "__main__":
    reexec_with_fast_allocator("benchmarks.evaluate")

import numpy as np
import torch
from torch import nn

from benchmarks.machine import RESULTS, wait, write_result
from sngan_cond import Generator, GeneratorConfig
from train.data.dataset import PreparedDataset
from train.data.info import DatasetInfo
from train.evaluation.distributed import Processes
from train.evaluation.extractors import Extractor, load_extractor
from train.evaluation.features import extract
from train.evaluation.streams import FakeStream, RealStream, Stream, draw_labels, real_indices

RESULT = RESULTS / "evaluate.json"
ALLOWED_SHARE = 0.10


class NetworkClock:
    """Seconds spent in a network's forward, the device's queue included.

    Args:
        network: timed from now on.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.seconds, self._device = 0.0, device
        self._hooks = network.register_forward_pre_hook(self._before), network.register_forward_hook(self._after)

    def stop(self) -> float:
        """Stop timing; returns the seconds."""
        for hook in self._hooks:
            hook.remove()
        return self.seconds

    def _now(self) -> float:
        wait(self._device)
        return time.perf_counter()

    def _before(self, *_: object) -> None:
        self._started = self._now()

    def _after(self, *_: object) -> None:
        self.seconds += self._now() - self._started


def random_data(folder: Path, side_px: int, count: int) -> PreparedDataset:
    """Make a data set of noise; what is in an image does not change how long it takes."""
    images = np.random.default_rng(0).integers(0, 256, (count, side_px, side_px, 3), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", np.zeros(count, np.int64))
    digests = {"images.npy": "", "labels.npy": ""}
    DatasetInfo("noise", None, side_px, count, [], None, [], {}, digests, {}).write(folder / "dataset.json")
    return PreparedDataset.open(folder)


def measure(extractor: Extractor, stream: Stream, G: Generator, batch_size: int) -> dict[str, float]:
    """Extract a stream once and split the time it took."""
    first = torch.zeros(batch_size, 3, 8, 8, dtype=torch.uint8, device=extractor.device)
    extractor.module(first)  # kernels are chosen at the first call
    clocks = [NetworkClock(network, extractor.device) for network in (extractor.module, G)]
    started = time.perf_counter()
    extract(stream, [(extractor, stream.count)], batch_size=batch_size, processes=Processes())
    whole = time.perf_counter() - started
    in_extractor, in_generator = (clock.stop() for clock in clocks)
    return {
        "seconds": whole,
        "images_per_second": stream.count / whole,
        "share_extractor": in_extractor / whole,
        "share_generator": in_generator / whole,
        "share_rest": 1 - (in_extractor + in_generator) / whole,
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluate", description=__doc__)
    parser.add_argument("--images", type=int, default=256, metavar="N", help="images of each kind (default 256)")
    parser.add_argument("--resolution", type=int, default=32, metavar="PX", help="side of the images (default 32)")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="images at once (default 64)")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="cpu (default) or cuda")
    parser.add_argument("--extractor", default="efficientnet-lite0", metavar="NAME", help="default efficientnet-lite0")
    parser.add_argument("--weights", metavar="FILE", help="the extractor's weights")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE", help=f"default {RESULT.name}")
    args = parser.parse_args()

    device = torch.device(args.device)
    extractor = load_extractor(args.extractor, weights=args.weights, device=device)
    G = Generator(GeneratorConfig(resolution=args.resolution, num_classes=10)).to(device).eval()
    labels = draw_labels(args.images, 10, "balanced", 0)
    result: dict[str, Any] = {
        "arguments": {name: value for name, value in vars(args).items() if name not in ("out", "weights")},
        "extractor": extractor.name,
        "torch": torch.__version__,
        "machine": torch.cuda.get_device_name() if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
    }
    with tempfile.TemporaryDirectory() as folder:
        dataset = random_data(Path(folder), args.resolution, args.images)
        streams: dict[str, Stream] = {
            "real": RealStream(dataset, real_indices(dataset, args.images), device),
            "fake": FakeStream(G, labels, args.images, seed=0, part="all"),
        }
        for name, stream in streams.items():
            result[name] = {key: round(value, 4) for key, value in measure(extractor, stream, G, args.batch).items()}
            print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in result[name].items()))
    worst = max(result[name]["share_rest"] for name in streams)
    print(
        f"share of time neither in the extractor nor in the generator: at most {worst:.1%} ({ALLOWED_SHARE:.0%} asked)"
    )
    write_result(args.out, result)


if __name__ == "__main__":
    main()
