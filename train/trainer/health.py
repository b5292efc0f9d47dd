"""The monitor of a run: when it looks, what it says, and what follows from that."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from pydantic import TypeAdapter
from torch import Tensor

from sngan_cond.hub.checkpoints import checkpoint_folder, saved_steps
from sngan_cond.randomness import rng_for
from train.config import TrainConfig
from train.data.feed import RealBatches
from train.monitor.labels import chance_of_labels
from train.monitor.look import SIDE, FixedSample, Labelled, Movement, overfitting, shrunk, spread
from train.monitor.monitor import Finding, Monitor, MonitorState
from train.monitor.record import HEALTH_FILE, Noted, Rollback, read_record
from train.monitor.symptoms import NOT_FINITE, symptoms_of
from train.run.numerics import exact_float32
from train.run.run import Run
from train.stored import read_as
from train.trainer.state import Networks

MONITOR_FILE = "monitor.json"  # of a checkpoint
MAX_ROLLBACKS = 3
FIRST_LOOK = 10  # step; before, running statistics say little, and so do images made with them
REALS, REALS_A_CLASS, MAX_REALS = 256, 16, 2048
FEWEST_LABELLED = 200  # images, of which labels must part colours or edges if they are to part anything
HELD_OUT = 64
_FLAT = 1e-3  # spread of real images that are all the same

Verdict = Literal["stop", "rollback"]


class Health:
    """Watches a run, in every process alike: all see the same numbers and come to the same verdict.

    Args:
        run: whose folder remembers what was found.
        networks: as they are at the step where the run goes on.
        real: whose data set tells how far images differ, and whose held-out images D is tried on.
    """

    def __init__(self, config: TrainConfig, run: Run, networks: Networks, real: RealBatches) -> None:
        self.config, self.run, self.networks, self.real = config, run, networks, real
        self.action, self.record = config.monitor.action, read_record(run.folder)
        state = MonitorState() if self.action == "off" else _read_state(networks.writer.newest)
        self.monitor = Monitor(symptoms_of(config), state)
        self.rate_factor, run.rollbacks = self.record.rate_factor, len(self.record.rollbacks)
        self._moves = {"d": Movement(networks.updates.D), "g": Movement(networks.updates.G)}
        self._sample: FixedSample | None = None
        self._reals: tuple[float, dict[str, float]] | None = None

    @property
    def healthy(self) -> int | None:
        """The step up to which checkpoints are known to be healthy, None where nobody looks."""
        return None if self.action == "off" else self.monitor.state.healthy

    @property
    def verdict(self) -> Verdict | None:
        """What is to follow from what is found and in sight."""
        if not self.monitor.state.found or self.action in ("warn", "off"):
            return None
        if self.action == "stop":
            return "stop"
        if not self.monitor.mendable:
            return None
        return "rollback" if len(self.record.rollbacks) < MAX_ROLLBACKS else "stop"

    def text(self) -> dict[str, str]:
        """Return what a checkpoint keeps, by file name."""
        return {MONITOR_FILE: TypeAdapter(MonitorState).dump_json(self.monitor.state).decode() + "\n"}

    def look(self, step: int) -> dict[str, Tensor | float]:
        """Return the scalars of a look at the networks, none where it is not time for one.

        After the first, which reads real images, nothing waits for the device.

        Args:
            step: that is about to be logged.
        """
        state = self.monitor.state
        gap = min(self.config.monitor.every, max(1, state.looked // 4))  # runs that die do so early
        if self.action == "off" or step < FIRST_LOOK or step - state.looked < gap:
            return {}
        state.looked = step
        of_reals, found = self._real()
        scalars: dict[str, Tensor | float] = dict(found)
        with exact_float32():
            images = self._fixed_sample().images(self.networks.updates.G)
            if self.real.num_held_out:
                scalars["overfit"] = self._overfitting(step, images)
        if of_reals > _FLAT:
            scalars |= self._fixed_sample().diversity(images, of_reals)
        scalars |= {f"{letter}_moves": moves.share() for letter, moves in self._moves.items()}
        return {f"monitor/{name}": value for name, value in scalars.items()}

    def see(self, step: int, scalars: Mapping[str, float]) -> None:
        """Take in a log line: findings are printed and noted, each once."""
        if self.action == "off":
            return
        before = set(self.monitor.state.found)
        findings = self.monitor.see(step, scalars)
        for finding in findings:
            self._note(finding)
        for name in before - set(self.monitor.state.found):
            self._note_gone(name, step)

    def goes_back_from(self, step: int, not_finite: int) -> bool:
        """Return whether the run goes back instead of ending where loss or gradient is not finite.

        Args:
            not_finite: first step where that was so.
        """
        if self.action == "rollback":
            self.see(step, {NOT_FINITE: not_finite})
        return self.verdict == "rollback"

    def summary(self) -> str:
        """Return what a run says at its end of what it suffers from, "" if it is well."""
        if not self.monitor.state.found:
            return ""
        newest = self.last_healthy()
        kept = checkpoint_folder(self.run.checkpoints, newest) if newest else "none"
        stopped = f"stopped by monitor.action={self.action}; monitor.action=warn goes on\n" if self.verdict else ""
        return f"{stopped}the run is not well: {self._found()}. Last healthy checkpoint: {kept}"

    def print_found(self, step: int) -> None:
        """Say at a start what the run was found to suffer from before; nothing if it was well."""
        if self.monitor.state.found:
            self.run.print(f"step {step}: not well when it was saved: {self._found()}")

    def roll_back(self, step: int) -> None:
        """Have the folder forget what came after the last healthy checkpoint, and note that the run goes on from there.

        A kill in between costs nothing: whatever checkpoint is left, the run comes to the same finding from there, and
        goes back to the same step.
        """
        to = self.last_healthy()
        names = tuple(name for name in self.monitor.state.found if self.monitor.symptoms[name].mends)
        self.record = self.record.with_rollback(Rollback(step=step, to=to, because=names))
        self.run.on_main(lambda: (self.run.forget_after(to), self.record.write(self.run.folder)))
        self.run.print(
            f"step {step}: back to step {to}, learning rates x {self.record.rate_factor:g} "
            f"(rollback {len(self.record.rollbacks)} of {MAX_ROLLBACKS})"
        )

    def last_healthy(self) -> int:
        """Return the step of the last healthy checkpoint, 0 for none."""
        steps = [step for step in saved_steps(self.run.checkpoints) if step <= self.monitor.state.healthy]
        return steps[-1] if steps else 0

    def _note(self, finding: Finding) -> None:
        symptom = self.monitor.symptoms[finding.symptom]
        if self.record.noted(finding.symptom) is not None:  # by a start that was killed, or it comes and goes
            return
        noted = Noted(
            symptom=finding.symptom,
            says=symptom.says,
            evidence=finding.evidence,
            remedy=symptom.remedy,
            rollbacks=len(self.record.rollbacks),
            step=finding.step,
            since=finding.since,
        )
        self._write(noted)
        self.run.print(
            f"step {finding.step}: {symptom.says} since step {finding.since}: {finding.evidence}. "
            f"What usually helps: {symptom.remedy}"
        )

    def _note_gone(self, name: str, step: int) -> None:
        noted = self.record.noted(name)
        if noted is not None and noted.gone is None:
            self._write(replace(noted, gone=step))
            self.run.print(f"step {step}: no longer so: {noted.says}")

    def _write(self, noted: Noted) -> None:
        self.record = self.record.with_finding(noted)
        if self.run.is_main:
            with self.run.dispensable.trying(self.run.folder / HEALTH_FILE):
                self.record.write(self.run.folder)

    def _found(self) -> str:
        state, symptoms = self.monitor.state, self.monitor.symptoms
        return "; ".join(f"{symptoms[name].says} since step {state.sights[name].since}" for name in state.found)

    def _fixed_sample(self) -> FixedSample:
        if self._sample is None:
            config, device = self.networks.generator_config, self.run.accelerator.device
            self._sample = FixedSample(config, seed=self.config.seed, device=device)
        return self._sample

    def _overfitting(self, step: int, images: Tensor) -> Tensor:
        labelled = bool(self.config.num_classes)
        update = step * self.config.d_updates_per_step  # the next, whose images D has not seen for the longest time
        training, held_out = (
            Labelled(x, y if labelled else None) for x, y in (self.real.at(update), self.real.held_out(HELD_OUT))
        )
        generated = Labelled(images, self._fixed_sample().y)
        return overfitting(self.networks.updates.D, training=training, held_out=held_out, generated=generated)

    def _real(self) -> tuple[float, dict[str, float]]:
        """Return how far real images differ, and what their labels look like; once a start."""
        if self._reals is None:
            classes = self.config.num_classes
            dataset = self.real.dataset
            wanted = min(max(REALS, REALS_A_CLASS * classes), MAX_REALS, len(dataset))
            rng = rng_for(self.config.seed, "monitor/reals")
            rows = torch.randperm(len(dataset), generator=rng)[:wanted].sort().values
            images = torch.cat([self._shrunk(part) for part in rows.split(64)])
            labels = torch.from_numpy(dataset.labels[rows.numpy()])
            found = {}
            if classes > 1 and wanted >= max(FEWEST_LABELLED, 2 * classes):
                square = images.unflatten(1, (3, SIDE, SIDE))
                found["chance_of_labels"] = chance_of_labels(square, labels, num_classes=classes, rng=rng)
            self._reals = float(spread(images)), found
        return self._reals

    def _shrunk(self, rows: Tensor) -> Tensor:
        images = torch.from_numpy(self.real.dataset.images[rows.numpy()]).permute(0, 3, 1, 2)
        return shrunk(images.float() / 128 - 1)


def _read_state(checkpoint: Path | None) -> MonitorState:
    """Read what a checkpoint knows; one of an earlier version knows nothing."""
    path = None if checkpoint is None else checkpoint / MONITOR_FILE
    return read_as(MonitorState, path) if path is not None and path.is_file() else MonitorState()
