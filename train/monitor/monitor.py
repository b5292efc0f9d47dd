"""From log lines to findings: a symptom is believed once it has been in sight long enough."""

import statistics
from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple

from pydantic.dataclasses import dataclass

from train.monitor.symptoms import Symptom
from train.sections import NotNegative
from train.stored import STRICT

NORMS = ("d/gradient_norm", "g/gradient_norm")
KEPT_NORMS, FIRST_NORMS = 50, 5  # lines that are remembered, and the fewest that say anything
SETTLED_NORMS = 20  # the fewest that outlast a run's first steps, whose gradients are large


@dataclass(kw_only=True, config=STRICT)
class Sight:
    """A symptom in sight.

    Args:
        since: step of the first line in a row that showed it.
        lines: that showed it.
    """

    since: NotNegative
    lines: int


@dataclass(kw_only=True, config=STRICT)
class MonitorState:
    """All that a monitor knows after a step; checkpoints keep it, so that a run that goes on finds the same.

    Args:
        looked: step of the last look.
        healthy: last step whose line showed nothing that older weights would mend.
        sights: by symptom.
        found: symptoms that were believed, and are in sight still.
        norms: of the last gradients that showed nothing, by scalar.
        highest: the largest that the median of `norms` has been since the run began, by scalar.
    """

    looked: NotNegative = 0
    healthy: NotNegative = 0
    sights: dict[str, Sight] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    norms: dict[str, list[float]] = field(default_factory=dict)
    highest: dict[str, float] = field(default_factory=dict)


class Finding(NamedTuple):
    """What a run was found to suffer from.

    Args:
        symptom: its short name.
        step: at which it was believed.
        since: step of the first line that showed it.
        evidence: of the last line.
    """

    symptom: str
    step: int
    since: int
    evidence: str


class Monitor:
    """Watches the lines of one run.

    Args:
        symptoms: by short name, as of `symptoms_of`.
        state: from which to go on; it moves with every line.
    """

    def __init__(self, symptoms: Mapping[str, Symptom], state: MonitorState) -> None:
        self.symptoms, self.state = symptoms, state
        for name in [name for name in state.sights if name not in symptoms]:  # of another version
            self._lose(name)

    @property
    def mendable(self) -> bool:
        """Whether older weights and lower rates might mend what is found and in sight."""
        return any(self.symptoms[name].mends for name in self.state.found)

    def see(self, step: int, scalars: Mapping[str, float]) -> list[Finding]:
        """Take in a log line.

        Returns:
            What is believed from this line on, and was not before.
        """
        numbers = dict(scalars) | self._before()
        found = []
        for name, symptom in self.symptoms.items():
            if not set(symptom.needs) <= numbers.keys():
                continue
            evidence = symptom.seen(numbers)
            if evidence is None:
                self._lose(name)
                continue
            sight = self.state.sights.setdefault(name, Sight(since=step, lines=0))
            sight.lines += 1
            believed = sight.lines >= symptom.lines and step - sight.since >= symptom.lasts
            if believed and name not in self.state.found:
                self.state.found.append(name)
                found.append(Finding(name, step, sight.since, evidence))
        if not any(self.symptoms[name].mends for name in self.state.sights):
            self.state.healthy = step
        self._remember(numbers)
        return found

    def _lose(self, name: str) -> None:
        self.state.sights.pop(name, None)
        if name in self.state.found:
            self.state.found.remove(name)

    def _before(self) -> dict[str, float]:
        norms = {name: kept for name, kept in self.state.norms.items() if len(kept) >= FIRST_NORMS}
        usual = {f"usual/{name}": statistics.median(kept) for name, kept in norms.items()}
        most = {f"most/{name}": max(kept) for name, kept in norms.items()}
        return usual | most | {f"highest/{name}": norm for name, norm in self.state.highest.items()}

    def _remember(self, numbers: Mapping[str, float]) -> None:
        ill = {need for name in self.state.sights for need in self.symptoms[name].needs}
        for name in NORMS:
            if name in numbers and name not in ill:
                kept = [*self.state.norms.get(name, []), numbers[name]][-KEPT_NORMS:]
                self.state.norms[name] = kept
                if len(kept) >= SETTLED_NORMS:
                    self.state.highest[name] = max(self.state.highest.get(name, 0.0), statistics.median(kept))
