"""The sample grids of a run, drawn between two of its steps."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import torch
from torch import Tensor

from sngan_cond.images import save_png, to_grid
from sngan_cond.sampling import generate_on_device
from sngan_cond.transfer import HostCopy
from train.grids import grid_inputs
from train.run.numerics import exact_float32
from train.run.run import Run
from train.trainer.state import Networks, exported

EARLY = (0, 10, 100)  # steps that show how a run begins


class Grid(NamedTuple):
    """A written grid, (3, H, W) uint8, and its step."""

    step: int
    image: Tensor


class SampleGrids:
    """Writes `samples/step-XXXXXXXX.png` of the averaged generator, from the main process, and sends it to trackers.

    The images are made between two steps, on the device; a thread waits for them, lays them out and encodes them while
    training goes on. As a context it waits for the last one.
    """

    def __init__(self, run: Run, networks: Networks) -> None:
        self.run, self.networks = run, networks
        self._columns, device = run.config.samples_per_class, run.accelerator.device
        z, y = grid_inputs(networks.generator_config, seed=run.config.seed, columns=self._columns)
        self._inputs = z.to(device), None if y is None else y.to(device)
        self._writing: Future[Grid] | None = None
        self._unsent: list[Grid] = []

    def save(self, step: int) -> None:
        """Generate the grid of a step and have it written; where it cannot be, the run goes on without."""
        if not self.run.is_main:
            return
        self.wait()
        # Sampling the average itself would move its u, where it has one.
        network = exported(self.networks.ema.network)
        with exact_float32():  # as a loaded model is sampled; nor are algorithms timed for these few batches
            images = HostCopy(torch.cat(list(generate_on_device(network, *self._inputs))))
        folder = self.run.folder / "samples"
        # A thread that ends with its grid: laying it out gives it OpenMP threads of its own, and while there are more
        # of those than processors all wait asleep (sngan_cond.fast.waiting), which costs training a quarter.
        writer = ThreadPoolExecutor(1, thread_name_prefix="sample-grids")
        self._writing = writer.submit(_write, images, self._columns, folder, step)
        writer.shutdown(wait=False)

    def send(self, now: int) -> None:
        """Give the trackers what is written since the last call, without waiting for what is not.

        Args:
            now: step that is logged next.
        """
        if self._writing is not None and self._writing.done():
            self.wait()
        while self._unsent:
            grid = self._unsent.pop(0)
            self.run.logs.add_image("samples", grid.image, step=grid.step, now=now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self.wait()
        except Exception as failure:
            if error is None:
                raise
            self.run.print(str(failure))  # the other error ends the run

    def wait(self) -> None:
        """Wait until the last grid is on the disk, or refused."""
        writing, self._writing = self._writing, None
        if writing is not None:
            with self.run.dispensable.trying(self.run.folder / "samples"):
                self._unsent.append(writing.result())


def _write(images: HostCopy, columns: int, folder: Path, step: int) -> Grid:
    grid = to_grid(images.get(), columns=columns)
    folder.mkdir(exist_ok=True)
    save_png(grid, folder / f"step-{step:08d}.png")
    return Grid(step, grid)
