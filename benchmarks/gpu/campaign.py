"""What every stage is told, and the rows it gives back; both pass between processes as JSON."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sngan_cond.atomic import atomic_file

if TYPE_CHECKING:
    from benchmarks.job import Job

Value = str | float | int | None
Row = dict[str, Value]  # by column
Rows = Iterator[tuple[str, Row]]  # the table's title, and one more row of it
Tables = dict[str, list[Row]]  # by title

TRAINED = "cifar10_32_projection"
PRESETS = {32: TRAINED, 128: "imagenet_128_projection"}  # by side in pixels
NARROW = ("generator.channels=8", "discriminator.channels=8")
NARROW_BATCH = 2


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What every stage is told.

    Args:
        device: "cuda" or "cpu".
        narrow: few channels and images: to try the campaign itself where no GPU is, not to measure.
        seconds: that the stage may take; it is killed then.
        out: folder of what is kept.
        work: folder of what is needed only meanwhile: data, checkpoints, compiled code.
        data: prepared data set of 32 px and 10 classes to train on; None draws shapes.
        commit: of the code, where the copy has no Git folder.
        tables: what the stages before found.
    """

    device: str
    narrow: bool
    seconds: float
    out: str
    work: str
    data: str | None = None
    commit: str | None = None
    tables: Tables = field(default_factory=dict)

    @property
    def overrides(self) -> tuple[str, ...]:
        """Settings of the networks beside a preset's own."""
        return NARROW if self.narrow else ()

    def job(self, side_px: int) -> "Job":
        """Return the networks and batches of 32 or 128 px."""
        from benchmarks.job import make_job  # here, for it imports torch

        batch = NARROW_BATCH if self.narrow else None
        return make_job(PRESETS[side_px], self.device, batch=batch, overrides=self.overrides)

    def write(self, path: Path) -> None:
        """Write this as JSON."""
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Campaign":
        """Read what `write` wrote."""
        return cls(**json.loads(path.read_text()))


def write_json(path: Path, value: Any) -> None:
    """Write JSON that is whole whenever somebody reads it."""
    with atomic_file(path) as draft:
        draft.write_text(json.dumps(value, indent=1) + "\n")
