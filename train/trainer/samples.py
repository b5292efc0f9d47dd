"""Fixed-latent sample grids: one row a class, one latent a column, the same at every step."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from sngan_cond.images import save_png, to_grid
from sngan_cond.latents import draw_latents
from sngan_cond.randomness import rng_for
from sngan_cond.sampling import generate_on_device
from sngan_cond.transfer import HostCopy
from train.errors import TrainError
from train.run.numerics import exact_float32
from train.run.run import Run
from train.trainer.state import Networks, exported

MAX_ROWS = 10


class SampleGrids:
    """Writes `samples/step-XXXXXXXX.png` of the averaged generator, from the main process.

    The images are made between two steps, on the device; a thread waits for them, lays them out and encodes them while
    training goes on. As a context it waits for the last one.
    """

    def __init__(self, run: Run, networks: Networks) -> None:
        self.run, self.networks = run, networks
        config, device = networks.generator_config, run.accelerator.device
        self._columns = columns = run.config.samples_per_class
        rows = min(config.num_classes or columns, MAX_ROWS)
        latents = columns if config.num_classes else rows * columns
        z = draw_latents(latents, config.latent_dim, rng=rng_for(run.config.seed, "samples"), latent=config.latent)
        y = None
        if config.num_classes:
            labels = torch.linspace(0, config.num_classes - 1, rows).round().long()  # evenly over many classes
            y, z = labels.repeat_interleave(columns).to(device), z.repeat(rows, 1)
        self._inputs = z.to(device), y
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sample-grids")
        self._writing: Future[None] | None = None

    def save(self, step: int) -> None:
        """Generate the grid of a step and have it written.

        Raises:
            TrainError: if the one before could not be written.
        """
        if not self.run.is_main:
            return
        self.wait()
        # Sampling the average itself would move its u, where it has one.
        network = exported(self.networks.ema.network)
        with exact_float32():  # as a loaded model is sampled; nor are algorithms timed for these few batches
            images = HostCopy(torch.cat(list(generate_on_device(network, *self._inputs))))
        path = self.run.folder / "samples" / f"step-{step:08d}.png"
        self._writing = self._writer.submit(_write, images, self._columns, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._writer.shutdown()
        try:
            self.wait()
        except Exception as failure:
            if error is None:
                raise
            self.run.print(str(failure))  # the other error ends the run

    def wait(self) -> None:
        """Wait until the last grid is on the disk.

        Raises:
            TrainError: if it could not be written.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()


def _write(images: HostCopy, columns: int, path: Path) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        save_png(to_grid(images.get(), columns=columns), path)
    except OSError as error:
        raise TrainError(f"{path}: the sample grid cannot be written ({error.strerror})") from error
