"""Scores over thresholds of truncation: what is gained in fidelity, and what is lost in variety."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sngan_cond.networks.generator import Generator
from train.errors import EvaluationError
from train.evaluation.checks import check
from train.evaluation.job import Evaluation
from train.evaluation.measure import evaluate
from train.evaluation.report import Report
from train.files import write_text_atomically
from train.plotting import COLOURS, escaped, panels, png

_PANEL_INCH = 2.6
_NONE_STEP = 0.5  # deviations, from the last threshold to where plain latents are drawn


@dataclass(frozen=True)
class Curve:
    """A report for each threshold.

    Args:
        points: threshold in standard deviations, None for plain latents, and what was measured under it.
    """

    points: list[tuple[float | None, Report]]

    def write(self, path: Path) -> None:
        """Write a JSON file: a row for each threshold under `curve`, beside what all have in common.

        Raises:
            EvaluationError: if it cannot be written.
        """
        own = ("truncation", "seconds")
        common = {key: value for key, value in self.points[0][1].provenance.items() if key not in own}
        rows = [
            {"truncation": threshold, "seconds": report.provenance["seconds"], "metrics": report.metrics}
            for threshold, report in self.points
        ]
        text = json.dumps({"curve": rows, **common}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            write_text_atomically(path, text)
        except OSError as error:
            raise EvaluationError(f"{path}: cannot be written ({error.strerror})") from error

    def lines(self) -> list[str]:
        """Return the lines of each threshold's report, as the command prints them."""
        return [
            line
            for threshold, report in self.points
            for line in (f"truncation {_shown(threshold)}:", *(f"  {one}" for one in report.lines()))
        ]

    def draw(self, path: Path) -> None:
        """Draw each score over the thresholds, with its deviation over sample sets where there are several.

        Raises:
            EvaluationError: if the PNG file cannot be written.
        """
        points = sorted(self.points, key=lambda point: (point[0] is None, point[0]))
        finite = [threshold for threshold, _ in points if threshold is not None]
        at = [max(finite, default=0.0) + _NONE_STEP if threshold is None else threshold for threshold, _ in points]
        names = [row["name"] for row in points[0][1].metrics]
        try:
            with png(path) as figure:
                for axes, name in zip(
                    panels(figure, len(names), columns=3, width_inch=_PANEL_INCH), names, strict=True
                ):
                    rows = [next(row for row in report.metrics if row["name"] == name) for _, report in points]
                    deviations = [row["std"] if "sample_sets" in row else 0.0 for row in rows]
                    axes.errorbar(
                        at, [row["value"] for row in rows], deviations, color=COLOURS[0], marker="o", capsize=2
                    )
                    axes.set_xticks(at, [_shown(threshold) for threshold, _ in points])
                    axes.set_xlabel("truncation (standard deviations of z)")
                    axes.set_title(escaped(name), fontsize=7)
                figure.suptitle(escaped("\n".join(self._captions(width=40 * min(len(names), 3)))), fontsize=7)
        except OSError as error:
            raise EvaluationError(f"{path}: cannot be written ({error.strerror})") from error

    def _captions(self, width: int) -> list[str]:
        """Return what a reader must know of the scores, in lines of `width` letters."""
        rows = self.points[0][1].metrics
        bars = "; bars: deviation over " + rows[0]["std_over"] if "sample_sets" in rows[0] else ""
        texts = [f"Protocol {rows[0]['protocol']}{bars}", *dict.fromkeys(r["remark"] for r in rows if "remark" in r)]
        return [line for text in texts for line in textwrap.wrap(text, width)]


def truncation_curve(
    job: Evaluation,
    generator: Generator,
    thresholds: Sequence[float | None],
    *,
    model: str | None = None,
    work_dir: Path | None = None,
) -> Curve:
    """Score a generator once for each threshold, as `evaluate` does; every process must call.

    Args:
        thresholds: as `Evaluation.truncation`, which they replace.
        model: the generator's name in the file.
        work_dir: as of `evaluate`.
    Raises:
        EvaluationError: as `evaluate`, before anything is generated where a threshold is not allowed.
    """
    jobs = [replace(job, truncation=threshold) for threshold in thresholds]
    for one in jobs:
        check(one, generator)
    folders = [None if work_dir is None else work_dir / f"truncation-{_shown(threshold)}" for threshold in thresholds]
    reports = [
        evaluate(one, generator, model=model, work_dir=folder) for one, folder in zip(jobs, folders, strict=True)
    ]
    return Curve(list(zip(thresholds, reports, strict=True)))


def thresholds_named(texts: Sequence[str]) -> list[float | None]:
    """Read thresholds, "none" for plain latents.

    Raises:
        EvaluationError: if one is no number, or stands twice.
    """
    found: list[float | None] = []
    for text in texts:
        try:
            threshold = None if text == "none" else float(text)
        except ValueError as error:
            raise EvaluationError(f"--truncation-curve {text!r}: numbers from 0.05 and 'none' are allowed") from error
        if threshold in found:
            raise EvaluationError(f"--truncation-curve {text!r}: stands twice; each threshold is allowed once")
        found.append(threshold)
    return found


def _shown(threshold: float | None) -> str:
    return "none" if threshold is None else f"{threshold:g}"
