"""Features of a stream of images, through torch-fidelity's own extraction."""

import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch_fidelity.generative_model_base import GenerativeModelBase
from torch_fidelity.utils import get_featuresdict_from_generative_model
from tqdm import tqdm

from train.errors import EvaluationError
from train.evaluation.distributed import Processes
from train.evaluation.extractors import Extractor
from train.evaluation.streams import Stream

LOG_SECONDS = 60.0  # between two lines of a progress bar that goes to a log

Observer = Callable[[Tensor, int], None]  # images (n, 3, R, R) uint8 and the index of the first


class StreamModel(GenerativeModelBase):
    """A stream in the form that torch-fidelity takes for a generator.

    It claims to have no classes, and of the noise it is given uses only the length: labels and latents are the
    stream's own. torch-fidelity's draws would depend on batch size and number of processes, and version 0.4.0 draws
    labels with `np.int`, which numpy no longer has.

    Args:
        start: index of the first image.
        observers: called with every batch.
        bar: advanced by every image.
    """

    def __init__(self, stream: Stream, start: int, observers: Sequence[Observer], bar: "tqdm[None]") -> None:
        super().__init__()
        self._stream, self._next, self._observers, self._bar = stream, start, observers, bar

    @property
    def z_size(self) -> int:
        """One number of noise an image, which is not used."""
        return 1

    @property
    def z_type(self) -> str:
        """Kind of the noise, which is not used."""
        return "normal"

    @property
    def num_classes(self) -> int:
        """None, as far as torch-fidelity is concerned."""
        return 0

    def forward(self, noise: Tensor) -> Tensor:
        """Return the next len(noise) images."""
        start, self._next = self._next, self._next + len(noise)
        images = self._stream.images(start, self._next)
        for observer in self._observers:
            observer(images, start)
        self._bar.update(len(noise))
        return images


def progress_bar(what: str, count: int, *, shown: bool, unit: str = "images") -> "tqdm[None]":
    """Return a progress bar with rate and time left; in a log, not on a terminal, it prints a line a minute."""
    seconds = 0.1 if sys.stderr.isatty() else LOG_SECONDS
    return tqdm(
        total=count,
        desc=what,
        unit=f" {unit}",
        disable=not shown,
        mininterval=seconds,
        maxinterval=max(seconds, 10.0),  # tqdm's monitor thread redraws after so long, whatever mininterval says
        dynamic_ncols=True,
        leave=False,
    )


def extract(
    extractor: Extractor,
    stream: Stream,
    *,
    batch_size: int,
    processes: Processes,
    observers: Sequence[Observer] = (),
    what: str = "images",
    progress: bool = True,
) -> dict[str, Tensor]:
    """Extract the features of a whole stream; every process extracts its shard, and all return the whole.

    Args:
        batch_size: images at once on each process; changes speed and memory, not results beyond rounding.
        observers: called with this process's batches of images.
        what: name of the images, for the progress bar and for errors.
        progress: show a bar on the main process.
    Returns:
        Layer name to float32 (N, D) on the CPU, in the order of the stream.
    Raises:
        EvaluationError: if an image or a feature is not finite, on any process.
    """
    start, stop = processes.shard(stream.count)
    shown = progress and processes.is_main
    with processes.fail_together(), progress_bar(what, stop - start, shown=shown) as bar:
        if start < stop:
            model = StreamModel(stream, start, observers, bar)
            shard = get_featuresdict_from_generative_model(
                model, extractor.module, stop - start, batch_size, cuda=False, rng_seed=0, verbose=False
            )
        else:  # more processes than images: one image tells width and dtype of the rows that it has none of
            probe = extractor.module(stream.images(0, 1))
            named = extractor.module.convert_features_tuple_to_dict(probe)
            shard = {name: features[:0].cpu() for name, features in named.items()}
        if not all(shard[name].isfinite().all() for name in extractor.layers):
            raise EvaluationError(f"extractor {extractor.name}: its features of the {what} are not finite")
    return {name: processes.gather_rows(shard[name], stream.count) for name in extractor.layers}


def watch(
    stream: Stream,
    observers: Sequence[Observer],
    *,
    batch_size: int,
    processes: Processes,
    what: str = "images",
    progress: bool = True,
) -> None:
    """Pass every image of this process's shard to observers, for metrics that need no features.

    Raises:
        EvaluationError: if an image is not finite, on any process.
    """
    start, stop = processes.shard(stream.count)
    shown = progress and processes.is_main
    with processes.fail_together(), progress_bar(what, stop - start, shown=shown) as bar, torch.no_grad():
        model = StreamModel(stream, start, observers, bar)
        for first in range(start, stop, batch_size):
            model(torch.empty(min(batch_size, stop - first), 1))
