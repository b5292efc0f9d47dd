"""`health.json` of a run's folder: what was found, and how often the run went back."""

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from train.files import write_text_atomically
from train.sections import NotNegative
from train.stored import STRICT, read_as

HEALTH_FILE = "health.json"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Noted:
    """A finding that was printed.

    Args:
        symptom: its short name.
        rollbacks: how often the run had gone back by then.
        step: at which it was believed.
        since: step of the first log line that showed it.
        gone: step of the first log line that showed it no more, None while it is in sight.
    """

    symptom: str
    says: str
    evidence: str
    remedy: str
    rollbacks: NotNegative
    step: NotNegative
    since: NotNegative
    gone: NotNegative | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Rollback:
    """A return to an older checkpoint, after which both learning rates are half of what they were.

    Args:
        step: at which the run gave up.
        to: step from which it went on, 0 for its beginning.
        because: short names of what it suffered from.
    """

    step: NotNegative
    to: NotNegative
    because: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class HealthRecord:
    """All that a run's folder remembers of its health, whatever checkpoint it goes on from."""

    findings: tuple[Noted, ...] = ()
    rollbacks: tuple[Rollback, ...] = ()

    @property
    def rate_factor(self) -> float:
        """What rollbacks have made of both learning rates."""
        return float(0.5 ** len(self.rollbacks))

    def noted(self, symptom: str) -> Noted | None:
        """Return what was said of a symptom since the last rollback."""
        mine = (n for n in self.findings if n.symptom == symptom and n.rollbacks == len(self.rollbacks))
        return next(mine, None)

    def with_finding(self, noted: Noted) -> "HealthRecord":
        """Return the record with a finding added, in the place of an earlier state of itself."""
        old = self.noted(noted.symptom)
        return replace(self, findings=(*(n for n in self.findings if n is not old), noted))

    def with_rollback(self, rollback: Rollback) -> "HealthRecord":
        """Return the record with a rollback added."""
        return replace(self, rollbacks=(*self.rollbacks, rollback))

    def write(self, folder: Path) -> None:
        """Write it into a run's folder; it is on the disk before this returns."""
        text = TypeAdapter(HealthRecord).dump_json(self, indent=2).decode()
        write_text_atomically(folder / HEALTH_FILE, text + "\n")


def read_record(folder: Path) -> HealthRecord:
    """Read the record of a run's folder, an empty one where there is none.

    Raises:
        TrainError: if it is damaged.
    """
    path = folder / HEALTH_FILE
    return read_as(HealthRecord, path) if path.is_file() else HealthRecord()
