"""The page: its numbers are those of the runs' files, what is missing is named, and names stay text."""

import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.train.analysis.pages import Element, read_page
from train.analysis.facts import differences, duration, read_facts
from train.analysis.measure import RunNumbers, measure_run
from train.analysis.report import write_report
from train.evaluation.report import Report
from train.monitor.record import HealthRecord, Noted, Rollback
from train.page import legible
from train.plotting import COLOURS

HOSTILE = 'b<script>alert("1")</script>&amp;$x$\n\u202e'
SHA = "a1" * 32
ROWS = {  # of a score: value and standard deviation
    "inception_score": (8.123456789, 0.0712345),
    "fid": (21.70000001, None),
}


def row(name: str, **other: Any) -> dict[str, Any]:
    """A row of scores as evaluations write it."""
    value, std = ROWS[name]
    extractor = {"extractor": "inception-v3-compat", "extractor_sha256": SHA}
    counts = {"real_count": 0 if std else 10_000, "fake_count": 5_000, "seed": 0}
    return {"name": name, "value": value, "std": std, "metric": name, "protocol": "paper"} | counts | extractor | other


def score(run: Path, step: int, generator: str, *rows: dict[str, Any]) -> Path:
    path = run / f"evaluations/step-{step:08d}/{generator}.json"
    Report(list(rows), {"truncation": None}).write(path)
    return path


@pytest.fixture
def first(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "a"))


@pytest.fixture
def second(finished: Path, tmp_path: Path) -> Path:
    """Another run, under a hostile name, whose loss and gradient are not finite in the end."""
    folder = Path(shutil.copytree(finished, tmp_path / HOSTILE.replace("/", "-")))
    config = folder / "config.yaml"
    text = config.read_text()
    for old, new in (("seed: 0", "seed: 5"), ("steps: 6", "steps: 60"), ("  kind: hinge", "  kind: minimax")):
        text, count = re.subn(f"^{old}$", new, text, flags=re.M)
        assert count == 1
    config.write_text(text)
    with (folder / "scalars.jsonl").open("a") as log:
        log.write('{"step": 7, "images_seen": 112, "seconds": 3725.4, "d/loss": NaN, "g/loss": 1.25}\n')
    return folder


def page_of(*folders: Path) -> Element:
    out = folders[0].parent / "out"
    runs = {folder.name: measure_run(folder, "--run-dir") for folder in folders}
    assert write_report(runs, {folder.name: folder for folder in folders}, [], out) == "report.html"
    return read_page(out / "report.html")


def cells(table: Element) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows()]


def table(page: Element, name: str) -> dict[str, list[str]]:
    return {name: values for name, *values in cells(page.by_id(name))}


def test_a_run_and_nothing_else_is_loaded(first: Path) -> None:
    page = page_of(first)
    text = (first.parent / "out/report.html").read_text()
    assert {"script", "link", "iframe", "object", "base"}.isdisjoint(element.tag for element in page.all())
    assert re.findall(r"\b(?:https?:)?//\w|url\(|@import", re.sub(r"base64,[\w+/=]+", "", text)) == []
    policy = [element.attributes.get("content") for element in page.all("meta") if "http-equiv" in element.attributes]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    levels = [int(element.tag[1]) for element in page.all() if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(set(ids)) == len(ids)
    assert {label.attributes["for"] for label in page.all("label")} == {i.attributes["id"] for i in page.all("input")}
    assert page.all("h1")[0].text == "a"
    assert page.all("title")[0].text == "a: a training run"


def test_grids_are_stills_and_an_animation(first: Path) -> None:
    page = page_of(first)
    assert [label.text for label in page.all("label")] == ["play", "0", "48", "96"]
    pictures = page.all("img")
    alts = [picture.attributes["alt"] for picture in pictures]
    assert alts[:3] == [f"Sample grid of a after {16 * s} real images, step {s}" for s in (0, 3, 6)]
    assert alts[3:] == ["Animation of a: 3 sample grids from 0 to 96 real images seen"]
    frames = []
    for picture in pictures:
        (path := first / "picture.webp").write_bytes(picture.content())
        with Image.open(path) as image:
            frames.append(image.n_frames)
            assert [str(side) for side in image.size] == [picture.attributes[key] for key in ("width", "height")]
    assert frames == [1, 1, 1, 3]
    assert page.all("figure", "last") == [page.all("figure")[2]]  # what those see who want less motion


def test_what_was_trained_is_that_of_the_record(first: Path, tiny_data: Path) -> None:
    page = page_of(first)
    record = json.loads((first / "training.json").read_text())
    data = json.loads((tiny_data / "dataset.json").read_text())
    found = {name: value for name, (value,) in table(page, "facts").items()}
    assert found["steps"] == "6 of 6"
    assert found["real images seen by D"] == "96"
    assert found["data set"] == "shapes, 200 images"
    for name in ("images.npy", "labels.npy"):
        assert found[f"sha256 of {name}"] == data["sha256"][name]
    assert found["commit"] == (record["commit"] or "not known")
    assert found["versions"] == ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    assert found["device"].startswith(f"cpu, {record['hardware']['name']}, processes 1, threads ")
    assert found["precision"] == "fp32"
    different = table(page, "differences")
    assert different["d_updates_per_step"] == ["2", "5"]
    assert different["generator.channels"] == ["4", "64"]
    assert different["data.path"][0] == tiny_data.name  # where it lies is nobody's business
    assert "seed" not in different
    assert str(first.parent) not in page.text


def test_two_runs_and_a_hostile_name(first: Path, second: Path) -> None:
    page = page_of(first, second)
    name = " ".join(legible(second.name).split())
    assert page.all("h1")[0].text == "2 runs compared"
    assert [heading.text for heading in page.all("h3")][:2] == ["a", name]
    assert name in page.all("title")[0].text
    assert "script" not in {element.tag for element in page.all()}
    assert table(page, "differences") == {"seed": ["0", "5"], "steps": ["6", "60"], "loss.kind": ["hinge", "minimax"]}
    assert table(page, "facts")["steps"] == ["6 of 6", "7 of 60 (not ended)"]
    assert table(page, "facts")["time"][1] == "1 h 2 min 5 s"
    swatches = {
        span.attributes["style"].removeprefix("background: ") for head in page.all("h3") for span in head.all("span")
    }
    assert swatches == set(COLOURS[:2])
    log = [json.loads(line) for line in (first / "scalars.jsonl").read_text().splitlines()]
    logged = {row[0].text: row[1:] for row in page.by_id("logged").rows()}
    for title, key in (("D loss", "d/loss"), ("G gradient norm", "g/gradient_norm")):
        assert logged[title][0].values() == [log[-1][key]]
    assert logged["D loss"][1].text == "not finite"
    assert logged["G loss"][1].values() == [1.25]
    norms = measure_run(first, "--run-dir").spectral_norms[-1].layers
    (mine, _) = page.all("table", "norms")
    assert [row[0].text for row in mine.rows()] == list(norms)
    for row, norm in zip(mine.rows(), norms.values(), strict=True):
        assert [cell.values()[0] for cell in row[1:]] == [norm.effective, norm.raw, norm.power_iteration]


def test_scores_are_those_of_the_newest_files_with_their_conditions(first: Path, second: Path) -> None:
    score(first, 3, "ema", row("fid", value=99.5))
    for generator, more in (("ema", 0.0), ("generator", 1.0)):
        score(first, 6, generator, *(row(name, value=ROWS[name][0] + more) for name in ROWS))
    few, over = {"remark": "biased by <few> images"}, {"std_over": "10 splits"}
    score(second, 3, "ema", row("fid", value=5.0, **few), row("inception_score", value=7.0, fake_count=100, **over))
    page = page_of(first, second)
    heads = [head.text for head in page.by_id("scores").all("th") if head.attributes["scope"] == "col"]
    assert heads[2:4] == ["a, 96 images seen", f"{' '.join(legible(second.name).split())}, 48 images seen"]
    rows = page.by_id("scores").rows()
    conditions = ["paper", "5,000", "10,000", f"inception-v3-compat {SHA[:12]}"]
    of_score = ["paper", "5,000", "0", conditions[3]]
    assert [[cell.text for cell in (row[0], row[1], *row[4:])] for row in rows] == [
        ["inception_score *", "averaged G", *of_score],
        ["inception_score *", "raw G", *of_score],
        ["inception_score *", "averaged G", "paper", "100", *of_score[2:]],
        ["fid", "averaged G", *conditions],
        ["fid", "raw G", *conditions],
    ]
    assert [[cell.values() for cell in row[2:4]] for row in rows] == [
        [[8.123456789, 0.0712345], []],
        [[9.123456789, 0.0712345], []],
        [[], [7.0, 0.0712345]],
        [[21.70000001], [5.0]],
        [[22.70000001], []],
    ]
    assert rows[0][2].text == "8.12346 ± 0.0712"
    assert rows[2][3].text == "7 ± 0.0712 over 10 splits"
    assert "fid: biased by <few> images." in page.text
    assert "nothing can be compared" in page.text
    assert f"Extractors by their sha256: inception-v3-compat {SHA}." in page.text
    (everything,) = (t for t in page.all("table") if [c.text for c in t.all("caption")] == ["a"])
    assert [row[0].text for row in everything.rows()] == ["3", "6", "6", "6", "6"]


def test_findings_are_those_of_the_monitor(first: Path, second: Path) -> None:
    said = {"says": "D's loss is at 0", "evidence": "<b>0.001</b>", "remedy": "lower optim_d.lr", "rollbacks": 0}
    noted = Noted(symptom="loss_zero", step=5, since=2, gone=6, **said)
    back = Rollback(step=5, to=2, because=("loss_zero",))
    HealthRecord(findings=(noted, replace(noted, gone=None)), rollbacks=(back,)).write(first)
    (second / "health.json").write_text("{")
    page = page_of(first, second)
    (findings,) = (t for t in page.all("table") if t.all("th")[0].text == "finding")
    start = ["D's loss is at 0", "<b>0.001</b>", "lower optim_d.lr", "2"]
    assert cells(findings) == [[*start, "6"], [*start, "still in sight"]]
    assert "At step 5 the run went back to step 2, because of loss_zero." in page.text
    (note,) = (note.text for note in page.all("p", "note") if "monitor" in note.text)
    assert "What the monitor noted cannot be read: health.json: cannot be read as JSON (Expecting property" in note


def bare(finished: Path, folder: Path) -> tuple[RunNumbers, Path]:
    """Numbers of a run, and a folder that has its log and nothing else."""
    folder.mkdir()
    shutil.copy(finished / "scalars.jsonl", folder)
    return measure_run(finished, "--run-dir"), folder


def test_what_is_missing_is_said_with_its_reason(finished: Path, tmp_path: Path) -> None:
    numbers, folder = bare(finished, tmp_path / "bare")
    write_report({"bare": numbers}, {"bare": folder}, [], tmp_path)
    page = read_page(tmp_path / "report.html")
    assert [note.text for note in page.all("p", "note")] == [
        "There are no sample grids: samples/ cannot be read (No such file or directory).",
        "There are no scores: evaluation.every=0 scores no step.",
        "There is no training.json; so nothing is known of data set, hardware, versions and commit.",
    ]
    assert table(page, "facts")["commit"] == ["not known"]
    assert "The monitor noted no finding." in page.text
    assert page.all("img") == []


def test_what_is_damaged_is_named_and_the_rest_is_shown(first: Path) -> None:
    (first / "training.json").write_text('{"commit": 7}')
    good = score(first, 6, "ema", row("fid"))
    score(first, 6, "generator", row("fid", value="<low>"))
    (first / "samples/step-00000003.png").write_bytes(b"cut")
    page = page_of(first)
    notes = [note.text for note in page.all("p", "note")]
    assert notes == [
        "samples/step-00000003.png cannot be read (no picture).",
        "evaluations/step-00000006/generator.json: metrics.0.value is '<low>'; allowed is a number.",
        "training.json: commit is 7; allowed is a string.",
    ]
    assert [label.text for label in page.all("label")] == ["play", "0", "96"]
    (only,) = page.by_id("scores").rows()
    assert only[2].values() == [json.loads(good.read_text())["metrics"][0]["value"]]
    # the newest checkpoint has a copy of the record
    assert table(page, "facts")["data set"] == ["shapes, 200 images"]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"data": {"count": True, "source": None, "sha256": 5}, "hardware": {"device": [], "threads": {}}},
        {"data": {"count": "<b>", "source": ["x"]}, "numerics": {"precision": None, "tf32": 1}, "versions": {"x": ""}},
        {"init_from": {"repo": "user/<i>", "sha256": {"a": None}}, "rollbacks": 2, "later": [[]]},
    ],
)
def test_a_record_of_another_form_is_no_error(finished: Path, tmp_path: Path, record: dict[str, Any]) -> None:
    numbers, folder = bare(finished, tmp_path / "bare")
    (folder / "training.json").write_text(json.dumps(record))
    write_report({"bare": numbers}, {"bare": folder}, [], tmp_path)
    page = read_page(tmp_path / "report.html")
    assert len(page.all("p", "note")) == 2  # of grids and scores
    assert {"b", "i"}.isdisjoint(element.tag for element in page.all())
    assert ("started from" in table(page, "facts")) == ("init_from" in record)


def test_a_run_that_is_to_be_scored_and_is_not_yet(finished: Path, tmp_path: Path) -> None:
    numbers, folder = bare(finished, tmp_path / "bare")
    evaluation = replace(numbers.config.evaluation, every=4)
    facts = read_facts(folder, replace(numbers.config, evaluation=evaluation))
    assert facts.missing["scores"] == ["There are no scores: evaluation.every=4, but evaluations/ has no step yet"]


def test_an_average_is_missing_only_of_a_run_that_has_one(finished: Path, tmp_path: Path) -> None:
    numbers, folder = bare(finished, tmp_path / "bare")
    score(folder, 6, "generator", row("fid"))
    without = replace(numbers.config, ema=replace(numbers.config.ema, decay=0.0))
    assert read_facts(folder, without).missing["scores"] == []
    (line,) = read_facts(folder, numbers.config).missing["scores"]
    assert "ema.json" in line


def test_differences_are_of_any_two() -> None:
    configs = {"x": {"a": 1, "b": 2, "c": 3}, "y": {"a": 1, "b": 2, "c": 4}, "z": {"a": 1, "b": 0, "c": 3, "d": None}}
    expected = {"b": {"x": 2, "y": 2, "z": 0}, "c": {"x": 3, "y": 4, "z": 3}, "d": {"z": None}}
    assert differences(configs) == expected
    assert differences({"x": {"a": 1}}) == {}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.4, "0 s"), (75.2, "1 min 15 s"), (3600.0, "1 h 0 min 0 s"), (4e6, "1,111 h 6 min 40 s")],
)
def test_times_in_words(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
