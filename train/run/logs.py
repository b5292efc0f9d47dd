"""What a run logs: JSON lines in its folder, and experiment trackers. The run goes on where they cannot be written."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker
from torch import Tensor

from train.files import Dispensable, GrowingFile, write_text_atomically
from train.run.scalars import SCALARS_FILE, log_lines
from train.run.trackers import TensorBoardFile, send_image


class Logs:
    """The log of a run; to be used by its main process only.

    Args:
        accelerator: whose trackers are served.
        folder: the run's, where `scalars.jsonl` grows.
        dispensable: says what cannot be written.
    """

    def __init__(self, accelerator: Accelerator, folder: Path, dispensable: Dispensable) -> None:
        self.accelerator, self.dispensable = accelerator, dispensable
        self._lines = GrowingFile(folder / SCALARS_FILE)

    def begin(self, step: int, config: Mapping[str, Any]) -> None:
        """Have every tracker go on behind a step.

        Args:
            config: of the run, its keys dotted.
        """

        def begin(tracker: GeneralTracker) -> None:
            if isinstance(tracker, TensorBoardFile):
                tracker.begin(step)
            tracker.store_init_configuration(dict(config))

        self._serve(begin)

    def add(self, line: Mapping[str, Any], values: Mapping[str, float]) -> None:
        """Write a line, and give the trackers the values of its step."""
        with self.dispensable.trying(self._lines.path):
            self._lines.add((json.dumps(line) + "\n").encode())
        self._serve(lambda tracker: tracker.log(dict(values), step=line["step"]))

    def add_image(self, name: str, image: Tensor, *, step: int, now: int) -> None:
        """Give every tracker an image.

        Args:
            image: (3, H, W) uint8 on the CPU.
            step: that it shows.
            now: step that is logged next, not before `step`.
        """
        pixels = image.permute(1, 2, 0).numpy()
        self._serve(lambda tracker: send_image(tracker, name, pixels, step=step, now=now))

    def keep(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the lines that are not wanted, and damaged ones."""
        path = self._lines.path
        if path.exists():
            kept = [line for line, logged in log_lines(path) if logged is not None and wanted(logged)]
            write_text_atomically(path, "".join(f"{line}\n" for line in kept))

    def forget(self, step: int, prefixes: tuple[str, ...]) -> None:
        """Drop the lines of a step that hold a scalar whose name begins so."""
        self.keep(lambda line: line["step"] != step or not any(key.startswith(prefixes) for key in line))

    def close(self) -> None:
        """Write what a full disk refused, and have every tracker finish."""
        with self.dispensable.trying(self._lines.path):
            self._lines.flush()
        self._serve(lambda tracker: tracker.finish())

    def _serve(self, call: Callable[[GeneralTracker], None]) -> None:
        for tracker in self.accelerator.trackers:
            with self.dispensable.trying(f"tracker {tracker.name}", Exception):  # anything may come out of a service's
                call(tracker)
