"""What Accelerate gives the experiment trackers in another form than is wanted, or not at all."""

import io
import socket
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.tracking import GeneralTracker

from train.files import GrowingFile


class TensorBoardFile(GeneralTracker):
    """Event files that TensorBoard reads, one a run: a start goes on in the file of the one before.

    PyTorch's writer begins another file at every start, and its thread ends with a traceback where the disk is full.

    Args:
        folder: of the run's events; made when something is logged.
    """

    name = "tensorboard"
    requires_logging_directory = True

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._step = 0
        self._file: GrowingFile | None = None

    @property
    def tracker(self) -> GrowingFile | None:
        """The file, once something was logged."""
        return self._file

    def begin(self, step: int) -> None:
        """Have TensorBoard forget what it has of later steps, with what is logged next.

        Args:
            step: at which the run goes on.
        """
        self._step, self._file = step, None

    def finish(self) -> None:
        """Write what a full disk refused."""
        if self._file is not None:
            self._file.flush()

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Log a configuration."""
        from torch.utils.tensorboard.summary import hparams

        self._add_summaries(hparams(values, {}), step=0)

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        """Log numbers."""
        from torch.utils.tensorboard.summary import scalar

        self._add_summaries((scalar(name, value) for name, value in values.items()), step=step or 0)

    def log_image(self, name: str, image: np.ndarray, *, step: int) -> None:
        """Log an image, (H, W, 3) uint8."""
        from torch.utils.tensorboard.summary import image as image_summary

        self._add_summaries([image_summary(name, torch.from_numpy(image), dataformats="HWC")], step=step)

    def _add_summaries(self, summaries: Any, *, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._add([Event(wall_time=time.time(), step=step, summary=summary) for summary in summaries])

    def _add(self, events: list[Any]) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        file, first = (self._file, []) if self._file is not None else self._open()
        records = io.BytesIO()
        for event in (*first, *events):
            RecordWriter(records).write(event.SerializeToString())
        self._file = file
        file.add(records.getvalue())

    def _open(self) -> tuple[GrowingFile, list[Any]]:
        """Open the newest file, or a new one, and return what comes first there."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        found = sorted(self.folder.glob("events.out.tfevents.*"))
        if found and (end := _end_of_records(found[-1])) is not None:
            with found[-1].open("r+b") as file:
                file.truncate(end)  # of a record that a kill cut off, behind which TensorBoard would read nothing
            start = SessionLog(status=SessionLog.START)
            return GrowingFile(found[-1]), [Event(wall_time=time.time(), step=self._step + 1, session_log=start)]
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / f"events.out.tfevents.{time.time():010.0f}.{socket.gethostname()}"
        return GrowingFile(new), [Event(wall_time=time.time(), file_version="brain.Event:2")]


def _end_of_records(path: Path) -> int | None:
    """Return where the last whole record of an event file ends, None for a file that is damaged before that."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    size, end = path.stat().st_size, 0
    with path.open("rb") as file:
        while len(head := file.read(12)) == 12:
            length, crc = struct.unpack("<QI", head)
            if crc != masked_crc32c(head[:8]):
                return None
            if end + 16 + length > size:
                break
            end += 16 + length
            file.seek(end)
    return end or None


def send_image(tracker: GeneralTracker, name: str, image: np.ndarray, *, step: int, now: int) -> None:
    """Give a tracker of a run one image.

    Args:
        tracker: TensorBoard's, Weights & Biases' or Trackio's.
        image: (H, W, 3) uint8.
        step: that it shows.
        now: step that is logged next: W&B drops what comes for an earlier one, so its image is captioned instead.
    """
    if isinstance(tracker, TensorBoardFile):
        tracker.log_image(name, image, step=step)
    elif tracker.name == "wandb":
        import wandb

        tracker.log({name: wandb.Image(image, caption=f"step {step}")}, step=now)
    elif tracker.name == "trackio":
        import trackio

        tracker.log({name: trackio.Image(image, caption=f"step {step}")}, step=step)
