"""The samples that come closest to a real image, drawn beside the real images that they are nearest to."""

from pathlib import Path

import numpy as np

from sngan_cond.modes import eval_mode
from sngan_cond.networks.generator import Generator
from train.errors import EvaluationError
from train.evaluation.job import Evaluation
from train.evaluation.report import Report
from train.evaluation.score import group_of
from train.plotting import escaped, panels, png
from train.run.numerics import exact_float32

_WIDTH_INCH = 1.25


def draw_nearest(job: Evaluation, generator: Generator, report: Report, path: Path) -> None:
    """Draw each of a report's closest samples and its nearest real images with their distances, copies first.

    Args:
        job: that the report is of, with authenticity among its metrics.
        generator: likewise; the samples are made again.
        path: PNG file.
    Raises:
        EvaluationError: if it cannot be written.
    """
    (row,) = (row for row in report.metrics if row["metric"] == "authenticity")
    closest = row.get("closest") or row["sample_sets"][0]["closest"]  # of several sets, the first has the job's seed
    stream, names = group_of(job, generator, job.over_all).stream, job.dataset.class_names
    shown: list[tuple[np.ndarray, str]] = []
    with eval_mode(generator), exact_float32():
        for case in closest:
            image = stream.images(case["sample"], case["sample"] + 1)[0].permute(1, 2, 0).cpu().numpy()
            apart = f"{'>' if case['authentic'] else '≤'} {case['nearest_real_to_other_reals']:.3g}"
            shown.append(
                (image, f"sample {case['sample']}{_of(names, case['label'])}\n{case['distances'][0]:.3g} {apart}")
            )
            for index, distance in zip(case["reals"], case["distances"], strict=True):
                label = _of(names, int(job.dataset.labels[index]))
                shown.append((job.dataset.images[index], f"real {index}{label}\nat {distance:.3g}"))
    columns = 1 + len(closest[0]["reals"])
    try:
        with png(path) as figure:
            grid = panels(figure, len(shown), columns=columns, width_inch=_WIDTH_INCH, heights_inch=None)
            figure.set_size_inches(_WIDTH_INCH * columns, 1.35 * _WIDTH_INCH * len(closest))
            for axes, (image, title) in zip(grid, shown, strict=True):
                axes.imshow(image, interpolation="nearest")
                axes.set_title(escaped(title), fontsize=6)
                axes.set_axis_off()
            figure.suptitle(
                escaped(
                    f"Samples closest to a real image by {row['extractor']}; {row['name']} {row['value']:.3g}\n"
                    "Authentic: farther from the nearest real image (>) than that one is from other real images"
                ),
                fontsize=8,
            )
    except OSError as error:
        raise EvaluationError(f"--nearest {path}: cannot be written ({error.strerror})") from error


def _of(names: list[str], label: int | None) -> str:
    return "" if label is None or not names else f", {names[label][:20]}"
