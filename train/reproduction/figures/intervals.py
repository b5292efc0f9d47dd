"""Scores that runs took at intervals during training: what they are, and that they are the ones asked for."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from train.data.info import INFO_NAME, DatasetInfo
from train.errors import TrainError
from train.evaluation.metrics import METRICS
from train.evaluation.protocols import protocol_named
from train.reproduction.figures.reading import failures, final_score
from train.reproduction.measures import SCORED, Measured
from train.reproduction.results import LOWEST_IS_BEST
from train.reproduction.runner import refuse_another
from train.reproduction.task import Task
from train.stored import read_as


class _Row(BaseModel):
    """A row of a file of scores, as far as a figure needs it."""

    model_config = ConfigDict(strict=True, extra="ignore")
    metric: str
    name: str
    value: float
    protocol: str
    fake_count: int
    real_count: int
    extractor: str
    extractor_sha256: str | None = None


class _Scores(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")
    metrics: list[_Row]


class Kind(NamedTuple):
    """What scores must have in common to share an axis.

    Args:
        name: of the score, with its extractor.
        fake_count: generated images.
        real_count: that they are compared with, 0 of a score that compares with none.
    """

    name: str
    protocol: str
    fake_count: int
    real_count: int
    extractor: str
    extractor_sha256: str | None

    @property
    def images(self) -> str:
        """How many images there are, in words."""
        return f"{self.fake_count:,} images{f' against {self.real_count:,} real' if self.real_count else ''}"

    def label(self, *, best: bool = False) -> str:
        """Return the score and, on a second line, its images, as an axis has them.

        Args:
            best: of the scores at intervals only the best is shown.
        """
        name = self.name.replace("_", " ")
        return f"{f'best {name} during training' if best else name}\n{self.images}"

    @property
    def words(self) -> str:
        """All of it, for a reason."""
        extractor = f"{self.extractor} {(self.extractor_sha256 or '')[:12]}".rstrip()
        return f"{self.name}, {self.images} ({self.protocol}, {extractor})"


class Curve(NamedTuple):
    """A score of one run at intervals.

    Args:
        steps: generator updates.
    """

    kind: Kind
    steps: list[int]
    values: list[float]


def score_curve(task: Task, metric: str) -> Curve:
    """Return the scores of the raw generator that a run took at intervals.

    Raises:
        TrainError: with the reason where there are none, they are of another run, or of several kinds, or of another
            than its table's.
    """
    refuse_another(task)
    run = f"{task.preset} seed {task.seed}"
    files = sorted((task.run_dir / "evaluations").glob("step-*/generator.json"))
    rows = [(int(file.parent.name[5:]), row) for file in files for row in read_as(_Scores, file).metrics]
    points = [(step, row) for step, row in rows if row.metric == SCORED[metric][0]]
    if not points:
        if task.scoring.extractor is None:
            raise TrainError(f"{run}: not scored during training: {task.scoring.missing}")
        final_score(task, metric)  # a run that failed has its own reason
        raise TrainError(f"{run}: no score during training (evaluation.every={task.config.evaluation.every})")
    kinds = {Kind(*(getattr(row, name) for name in Kind._fields)) for _, row in points}
    if len(kinds) > 1:
        raise TrainError(f"{run}: scored as {_listed(kinds)} at different steps")
    (kind,) = kinds
    if kind != (asked := _asked(task, metric, kind)):
        raise TrainError(
            f"{run}: scored as {kind.words}, asked for is {asked.words}; without its folder it is made anew"
        )
    return Curve(kind, [step for step, _ in points], [row.value for _, row in points])


def _asked(task: Task, metric: str, found: Kind) -> Kind:
    """Return the kind of score that a run is to have, of which what was found tells the rest."""
    asked, scored = task.config.evaluation, METRICS[SCORED[metric][0]]
    if not asked.every:
        return found
    protocol = protocol_named(asked.protocol).reduced(fakes=asked.fakes, reals=asked.reals)
    info = Path(asked.data or task.data_path) / INFO_NAME
    there = DatasetInfo.read(info).count if info.is_file() else protocol.reals
    sha256 = task.scoring.weights_sha256 if asked.extractor == task.scoring.extractor else None
    return found._replace(
        protocol=protocol.name,
        fake_count=scored.count(protocol),
        real_count=min(protocol.reals, there) if scored.compares else 0,
        extractor=asked.extractor,
        extractor_sha256=sha256 or found.extractor_sha256,
    )


def one_kind(kinds: Iterable[Kind]) -> Kind:
    """Return the one kind that scores are of.

    Raises:
        TrainError: if they are of several.
    """
    different = set(kinds)
    if len(different) > 1:
        raise TrainError(f"{_listed(different)}: scores of different kinds share no axis")
    return different.pop()


def _listed(kinds: Iterable[Kind]) -> str:
    return " and ".join(sorted(kind.words for kind in kinds))


def gaps(found: Sequence[tuple[tuple[Task, str], Curve]]) -> list[str]:
    """Say of which curves intervals are missing, as of a run that failed or was made before it was to be scored."""
    lines = []
    for (task, _), curve in found:
        if failed := failures([task]):
            lines += failed
            continue
        wanted = task.config.steps // task.config.evaluation.every if task.config.evaluation.every else 0
        if len(curve.steps) < wanted:
            run = f"{task.preset} seed {task.seed}"
            lines.append(f"{run}: scored at {len(curve.steps)} of {wanted} steps; without its folder it is made anew")
    return lines


def best_score(task: Task, metric: str) -> Measured:
    """Return the best of a run's scores at intervals; as `score_curve`."""
    curve = score_curve(task, metric)
    best = min(curve.values) if metric in LOWEST_IS_BEST else max(curve.values)
    return Measured(curve.kind.name, best, "best of the scores at intervals")
