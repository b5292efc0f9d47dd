"""`report.html`: what a run is, made and scored, or several side by side, in one file that opens without a network."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from train.analysis.facts import Facts, Score, differences, images_per_step, read_facts
from train.analysis.figures import GENERATOR_WORDS, Drawn, layer_marks, title_of
from train.analysis.film import Film, read_film
from train.analysis.measure import RunNumbers
from train.config import TrainConfig
from train.files import write_text_atomically
from train.page import address, legible, render
from train.plotting import COLOURS
from train.presets.load import config_to_dict
from train.run.agreement import flat
from train.run.provenance import without_folders

REPORT_FILE = "report.html"
DEFAULT = "default"


class _Run(NamedTuple):
    """A run on the page; its colour is the one that it has in the figures."""

    label: str
    colour: str
    numbers: RunNumbers
    facts: Facts
    film: Film


class _ScoreRow(NamedTuple):
    """A score on the page, of every run that has it: measured under the same conditions.

    Args:
        of_runs: None for a run without it.
        unlike: whether the same score was also measured under others.
    """

    name: str
    generator: str
    of_runs: list[Score | None]
    unlike: bool


def write_report(
    runs: Mapping[str, RunNumbers], folders: Mapping[str, Path], figures: Sequence[Drawn], out: Path
) -> str:
    """Write the page of one run, or of several.

    Args:
        runs: by label, in the order of their colours.
        folders: of the runs, by label; what one lacks is said on the page.
        figures: as drawn into `out`.
        out: folder.
    Returns:
        The file's name.
    Raises:
        OSError: if it cannot be written, or a figure not read.
    """
    shown = [
        _Run(
            legible(label),
            colour,
            numbers,
            read_facts(folders[label], numbers.config),
            read_film(folders[label], images_per_step=images_per_step(numbers.config)),
        )
        for (label, numbers), colour in zip(runs.items(), COLOURS, strict=False)
    ]
    context = {
        "runs": shown,
        "fact_names": list(dict.fromkeys(name for run in shown for name in run.facts.table)),
        "differences": _differences(shown),
        "generators": GENERATOR_WORDS,
        "newest": _newest_scores(shown),
        "extractors": _extractors(shown),
        "remarks": _remarks(shown),
        "curves": {name: title_of(name) for run in shown for name in run.numbers.curves},
        "layers": {name: _css(mark["color"]) for name, mark in layer_marks(runs.values()).items()},
        "figures": [(figure, *_picture(out / figure.name)) for figure in figures],
        "address": address,
    }
    page = render(Path(__file__).with_name("report.html"), context)
    write_text_atomically(out / REPORT_FILE, page)
    return REPORT_FILE


def _differences(runs: Sequence[_Run]) -> list[tuple[str, list[Any]]]:
    """Return the keys in which the runs differ, or one from the defaults, and a value for each column."""
    configs = {str(i): run.facts.config for i, run in enumerate(runs)}
    if len(runs) == 1:
        configs[DEFAULT] = flat(without_folders(config_to_dict(TrainConfig())))
    return [(key, [values.get(name, "") for name in configs]) for key, values in differences(configs).items()]


def _newest_scores(runs: Sequence[_Run]) -> list[_ScoreRow]:
    """Return the scores of each run's last step that has any; those measured differently never share a row."""
    rows: dict[tuple[str, str, tuple[object, ...]], list[Score | None]] = {}
    for i, run in enumerate(runs):
        for scored in run.facts.scored:
            for score in scored.scores if scored.step == run.facts.scored[-1].step else []:
                key = (score.name, scored.generator, score.conditions)
                rows.setdefault(key, [None] * len(runs))[i] = score
    conditions: dict[str, set[tuple[object, ...]]] = {}
    for name, _, measured in rows:
        conditions.setdefault(name, set()).add(measured)
    places = list(conditions)
    ordered = sorted(rows.items(), key=lambda row: places.index(row[0][0]))
    return [
        _ScoreRow(name, generator, of_runs, unlike=len(conditions[name]) > 1)
        for (name, generator, _), of_runs in ordered
    ]


def _extractors(runs: Sequence[_Run]) -> list[tuple[str, str]]:
    """Return name and checksum of every extractor that has one."""
    scores = (score for run in runs for scored in run.facts.scored for score in scored.scores)
    return sorted({(score.extractor, score.extractor_sha256) for score in scores if score.extractor_sha256})


def _remarks(runs: Sequence[_Run]) -> list[tuple[str, str]]:
    """Return name and remark of every score whose readers must be cautioned, each once."""
    scores = (score for run in runs for scored in run.facts.scored for score in scored.scores)
    return list(dict.fromkeys((score.name, score.remark) for score in scores if score.remark))


def _picture(path: Path) -> tuple[str, int, int]:
    """Return a figure's address and its size in pixels."""
    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        return address(content, "png"), *image.size


def _css(colour: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])
