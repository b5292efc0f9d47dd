"""`python -m train.reproduce`: which rows, how much of each, what is written, and that finished runs stay finished."""

import json
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
import torch
from PIL import Image

from tests.processes import started, wait_for
from tests.refusals import refused, refused_command
from train.errors import TrainError
from train.presets.index import find_tables
from train.presets.load import load_config
from train.presets.tables import Row, Table
from train.reproduce import main, select
from train.reproduction import curves, measures, runner
from train.reproduction.cost import hours
from train.reproduction.figures.drawing import draw_figures
from train.reproduction.figures.index import FIGURES
from train.reproduction.measures import Measured
from train.reproduction.results import STOPPED, Result, best_cells, cells, plot_results, write_results
from train.reproduction.runner import run_task
from train.reproduction.task import Budget, Scoring, Task
from train.run.scalars import SCALARS_FILE
from train.stored import read_as
from train.trainer.ending import RunEnd


def row_of(key: str, name: str) -> tuple[Table, Row]:
    (table,) = find_tables(key)
    return next((table, row) for row in table.rows if row.name == name)


def task_of(key: str, name: str, folder: Path, *, seed: int = 0, budget: Budget | None = None) -> Task:
    table, row = row_of(key, name)
    budget, scoring = budget or Budget(name="smoke", seeds=1), Scoring(extractor=None, missing="not asked for")
    return Task(table=table, row=row, seed=seed, budget=budget, scoring=scoring, folder=folder)


def result(seed: int, *, reasons: dict[str, str] | None = None, **scores: float) -> Result:
    measured = {
        metric: [Measured(f"{metric}_stand_in", value, "paper", "stand-in")] for metric, value in scores.items()
    }
    return Result(seed=seed, request={}, steps=10 if scores else 0, measured=measured, reasons=reasons or {})


def test_short_runs_a_share_of_the_updates_and_of_the_decay(tmp_path: Path) -> None:
    budget = Budget(name="short", percent=2, data_root=tmp_path, overrides=("batch_total=32",))
    config = budget.config("sngan/figure13/projection_spectral_norm", seed=3, smoke_data=tmp_path)
    assert (config.steps, config.decay_from, config.seed, config.batch_total) == (9000, 8000, 3, 32)
    assert config.data.path == str(tmp_path / "imagenet-128")
    shortest = Budget(name="short", percent=0.0001)
    config = shortest.config("sngan/table2/cifar10_weight_norm", seed=0, smoke_data=tmp_path)
    assert (config.steps, config.decay_from) == (1, None)


def test_checkpoints_are_kept_from_the_beginning_on(tmp_path: Path) -> None:
    """At 39 of 100,000 steps, a save every step would leave the last 21 alone."""
    budget = Budget(name="short", percent=0.039)
    config = budget.config("sngan/figure9/cifar10", seed=0, smoke_data=tmp_path, needs=["checkpoints"])
    saved = {*range(config.save_every, config.steps + 1, config.save_every), config.steps}
    assert (config.steps, min(saved), len(saved)) == (39, 2, 20)
    assert config.keep_checkpoints >= len(saved)


def test_a_time_is_that_of_the_last_updates_and_says_so(tmp_path: Path) -> None:
    """Miyato et al. 2018, Figure 10: under "short" too all 100 updates are made; the last 50 take 16 s a hundred."""
    for more, how in (((), "apart"), (("save_every=75",), "included"), (("sample_every=50",), "included")):
        budget = Budget(name="short", percent=1, seeds=1, data_root=tmp_path, overrides=more)
        task = task_of("sngan/figure10", "cifar10_vanilla", tmp_path / str(len(more)), budget=budget)
        assert task.config.steps == 100
        task.run_dir.mkdir(parents=True, exist_ok=True)
        lines = [{"step": s, "images_seen": 320 * s, "images_per_second": 20.0 * s} for s in (50, 100)]
        (task.run_dir / SCALARS_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
        ((one,),) = measures.measure(task)[0].values()
        assert one.value == pytest.approx(100 * 320 / 2000)
        assert one.protocol == f"at the rate of the last 50 updates, saves and sample grids {how}, this machine"
    (cell,) = cells(task.table, task.row, budget, [result(0, seconds_per_100_updates=16.0)])
    assert cell["status"] == "full"
    made = Result(seed=0, request=task.request(), steps=100, measured={task.table.metrics[0]: [one]}, reasons={})
    (task.run_dir / "result.json").write_text(json.dumps(asdict(made)))
    (drawn,) = draw_figures(tmp_path / "figures.md", [FIGURES["sngan/figure10"]], [task], budget)
    assert drawn.is_drawn
    assert json.loads((tmp_path / "sngan-figure10.json").read_text())["budget"].startswith("full; 1 seed")


def test_a_stopped_command_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = result(0, reasons={"run": STOPPED})
    monkeypatch.setattr(runner, "run_tasks", lambda tasks, **_: [(tasks[0], stop)])
    monkeypatch.setattr(curves, "plot_curves", lambda *_: pytest.fail("drawn after a stop"))
    command = ["--table", "bssn/figure2", "--budget", "short", "--extractor", "none", "--run-dir", str(tmp_path)]
    assert main(command) == 130
    assert "stopped" in (tmp_path / "table.md").read_text()


def test_paper_runs_the_preset_itself(tmp_path: Path) -> None:
    config = Budget(name="paper").config("bssn/table6/stl10_bsn_4", seed=0, smoke_data=tmp_path)
    full = load_config("bssn/table6/stl10_bsn_4", ["trackers=[]"])
    assert config == full
    assert config.steps == 800_000


def test_rows_are_picked_by_pattern() -> None:
    tables = find_tables("sngan/figure1")
    (picked,) = select([*tables, *find_tables("table7")], ["cifar10_*_norm_A", "stl10_wgan_gp_F"])
    expected = ["cifar10_batch_norm_A", "cifar10_layer_norm_A", "cifar10_weight_norm_A", "cifar10_spectral_norm_A"]
    assert [row.name for row in picked.rows] == [*expected, "stl10_wgan_gp_F"]
    assert picked.key == "sngan/figure1"
    assert [len(table.rows) for table in select(tables, None)] == [6 * (8 + 6)]
    words = ("--rows cifar10_weight_norm_G: no such row in sngan/figure1; did you mean cifar10_weight",)
    refused(lambda: select(tables, ["cifar10_weight_norm_G"]), *words, by=TrainError)


def test_a_cell_holds_mean_standard_error_count_and_status() -> None:
    table, row = row_of("sngan/table2", "cifar10_weight_norm")
    reasons = {"inception_score": "no weights"}
    runs = [result(seed, reasons=reasons, fid=value) for seed, value in enumerate((30.0, 33.0, 36.0))]
    score, fid = cells(table, row, Budget(name="short", percent=2), runs)
    assert (fid["paper"], fid["status"]) == ("34.7", "short: 2% of the updates; 3 of 5 runs")
    whole = cells(table, row, Budget(name="short", percent=2, seeds=3), runs)
    assert [cell["status"] for cell in whole] == ["short: 2% of the updates"] * 2
    (number,) = fid["measured"]
    assert (number["name"], number["mean"], number["n"]) == ("fid_stand_in", 33.0, 3)
    assert number["error"] == pytest.approx(3 / math.sqrt(3))  # deviation 3 over three runs
    assert (score["measured"], score["reason"]) == ([], "no weights")


@pytest.mark.parametrize(
    ("name", "status"), [("smoke", "smoke"), ("paper", "full"), ("short", "short: 1% of the updates")]
)
def test_status_says_how_much_was_run(name: str, status: str) -> None:
    table, row = row_of("sngan/table2", "cifar10_weight_norm")
    assert cells(table, row, Budget(name=name, seeds=1), [result(0, fid=1.0)])[1]["status"] == status
    failed = result(0, reasons={"run": "step 7: not finite"})
    cell = cells(table, row, Budget(name=name, seeds=1), [failed])[1]
    assert (cell["status"], cell["reason"]) == ("not run", "step 7: not finite")


def test_budgets_never_share_a_run(tmp_path: Path) -> None:
    """A rate that fell to 0 over one percent of the updates must not go on as the beginning of all of them."""
    budgets = (Budget(name="paper"), Budget(name="smoke"), *(Budget(name="short", percent=p) for p in (0.5, 1, 50)))
    row = ("sngan/table2", "cifar10_weight_norm")
    folders = [task_of(*row, tmp_path, seed=3, budget=budget).run_dir for budget in budgets]
    assert len(set(folders)) == len(budgets)
    assert {folder.parent for folder in folders} == {tmp_path / "sngan/table2/cifar10_weight_norm"}


def test_a_row_is_measured_again_under_another_extractor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And after a failure, but not under the same one: only training and measuring are replaced here."""
    trained: list[Path] = []

    def refuses(_: object, __: object) -> None:
        raise TrainError("holds another run")

    monkeypatch.setattr(
        runner, "train", lambda config, folder: trained.append(folder) or RunEnd(config.steps, sick=False)
    )
    monkeypatch.setattr(runner, "measure", lambda _: ({"fid": [Measured("x", 1.0, "paper")]}, {}))
    task = task_of("sngan/table2", "cifar10_weight_norm", tmp_path)
    task.run_dir.mkdir(parents=True)
    scorings = [
        Scoring(extractor="one"),
        Scoring(extractor="other"),
        Scoring(extractor="other", weights_sha256="ab"),
        Scoring(extractor="other", weights_sha256="ab", fakes=7),
    ]
    for number, scoring in enumerate(scorings, start=1):
        for _ in range(2):
            assert run_task(replace(task, scoring=scoring)).measured["fid"][0].value == 1.0
            assert trained == [task.run_dir] * number
    (task.run_dir / "result.json").write_text('{"seed": 0}')
    assert run_task(replace(task, scoring=scorings[-1])).reasons == {}
    assert "result.json: field 'request' is missing" in capsys.readouterr().err
    refusing = pytest.MonkeyPatch()
    refusing.setattr(runner, "train", refuses)
    assert run_task(replace(task, scoring=scorings[0])).reasons == {"run": "holds another run"}
    refusing.undo()
    assert run_task(replace(task, scoring=scorings[-1])).reasons == {}  # still there: no failure stands for it
    trained.pop()
    monkeypatch.setattr(runner, "measure", lambda _: ({}, {"fid": "the disk was full"}))
    for number in (5, 6):
        assert run_task(replace(task, scoring=Scoring(extractor="third"))).reasons
        assert trained == [task.run_dir] * number


def test_scores_share_their_images_and_fail_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of("sngan/table2", "cifar10_weight_norm", tmp_path)
    asked: list[list[str]] = []

    def scores(_: Task, metrics: list[str]) -> dict[str, list[Measured]]:
        asked.append(metrics)
        if "fid" in metrics and refuses:
            raise TrainError("40 images, 1,000 are needed")
        return {metric: [Measured(metric, 1.0, "paper")] for metric in metrics}

    monkeypatch.setattr(measures, "_scores", scores)
    refuses = False
    assert list(measures.measure(task)[0]) == ["inception_score", "fid"]
    refuses = True
    measured, reasons = measures.measure(task)
    assert (list(measured), reasons) == (["inception_score"], {"fid": "40 images, 1,000 are needed"})
    assert asked == [["inception_score", "fid"], ["inception_score", "fid"], ["inception_score"], ["fid"]]


@pytest.mark.parametrize(
    ("values", "kept", "reason"),
    [
        ([math.nan, 1.0], [1.0], "a is nan: no finite number"),
        ([math.inf, math.nan], [], "a is inf, b is nan: no finite number"),
    ],
)
def test_what_is_not_finite_is_a_reason(
    values: list[float], kept: list[float], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that `result.json` can be read: its reader refuses NaN and Infinity."""
    found = [Measured(name, value, "p") for name, value in zip("ab", values, strict=True)]
    monkeypatch.setitem(measures.MEASURES, "gradient_norms", lambda _: found)
    monkeypatch.setattr(runner, "train", lambda config, _: RunEnd(config.steps, sick=True))
    task = task_of("bssn/figure2", "sn", tmp_path)
    task.run_dir.mkdir(parents=True)
    made = run_task(task)
    assert made.reasons == {"gradient_norms": reason}
    assert [one.value for one in made.measured["gradient_norms"]] == kept
    assert read_as(Result, task.run_dir / "result.json") == made


def test_a_range_of_values_that_are_not_all_numbers_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "checkpoint", None)
    monkeypatch.setattr(measures, "gradient_inputs", lambda *_: (None, torch.zeros(2, 3, 28, 28), None))
    monkeypatch.setattr(measures, "gradient_norms", lambda *_: [1.0, math.nan, 2.0])
    measured, reasons = measures.measure(task_of("bssn/figure2", "sn", tmp_path))
    assert measured == {"gradient_norms": []}
    assert reasons == {"gradient_norms": "gradient_norms_min is nan, gradient_norms_max is nan: no finite number"}


def test_range_of_the_losses_is_that_of_the_second_half(tmp_path: Path) -> None:
    task = task_of("report/figure1", "sngan", tmp_path)
    task.run_dir.mkdir(parents=True)
    logged = [(9.0, 1.0), (0.5, 1.25), (2.0, 0.5), (0.75, 1.5), (1.0, None)]
    lines = [{"step": i, "images_seen": i, "g/loss": g, "d/loss": d} for i, (g, d) in enumerate(logged, start=1)]
    few = "2 logged losses: at least 3 are needed for a range in the second half"
    for count, found, reason in ((4, [1.25, 1.0], {}), (2, [], {"loss_ranges": few})):
        (task.run_dir / SCALARS_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines[:count]))
        measured, reasons = measures.measure(task)
        assert [one.value for one in measured.get("loss_ranges", [])] == found
        assert reasons == reason
    (task.run_dir / SCALARS_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert measures.measure(task)[1] == {"loss_ranges": "loss_range_d is nan: no finite number"}


def test_rows_without_a_preset_say_why() -> None:
    table, row = row_of("sngan/table2", "cifar10_lr_gan")
    (cell,) = cells(table, row, Budget(name="paper"), [])
    assert (cell["status"], cell["paper"]) == ("not run", "7.17+-.07")
    assert "none of these modules" in cell["reason"]


def test_one_run_has_no_standard_error() -> None:
    table, row = row_of("sngan/table2", "cifar10_weight_norm")
    for values, mean, error in (([2.0], 2.0, None), ([1.0, 3.0], 2.0, 1.0)):
        (number,) = cells(table, row, Budget(name="paper"), [result(0, fid=value) for value in values])[1]["measured"]
        assert (number["mean"], number["error"]) == (mean, error)


def test_the_best_row_is_chosen_by_its_mean_for_each_metric() -> None:
    """Lin et al. 2021, Table 1: the best scale, highest of the inception score and lowest of the FID."""
    (table,) = find_tables("bssn/table1")
    budget = Budget(name="short", seeds=2)
    runs = {
        "sn_1": ((5.0, 9.0), (30.0, 32.0)),
        "sn_1.2": ((7.5, 7.5), (36.0, 20.0)),
        "sn_4": ((10.0, 3.0), (29.0, 37.0)),
    }
    runs["bsn_1.2"] = ((99.0, 99.0), (1.0, 1.0))  # another line's
    made = [
        cell
        for name, (scores, distances) in runs.items()
        for cell in cells(
            table,
            row_of("bssn/table1", f"cifar10_{name}")[1],
            budget,
            [result(seed, inception_score=scores[seed], fid=distances[seed]) for seed in range(2)],
        )
    ]
    score, distance, *_ = best_cells(table, made)
    assert (score["row"], score["paper"], score["metric"]) == ("SSN, cifar10: best", "7.38+-0.06", "inception_score")
    assert (score["measured"][0]["mean"], score["chosen"]) == (7.5, "SSN, scale 1.2, cifar10, of 3 of 27 rows")
    assert (distance["paper"], distance["measured"][0]["mean"]) == ("29.31+-0.23", 28.0)
    nothing = cells(table, row_of("bssn/table1", "cifar10_sn_1")[1], budget, [])
    assert [(cell["measured"], cell["reason"]) for cell in best_cells(table, nothing)] == [([], "not asked for")] * 2


def test_a_single_run_has_the_deviation_over_its_splits_and_says_so() -> None:
    table, row = row_of("sngan/table2", "cifar10_weight_norm")
    one = Result(
        seed=0,
        request={},
        steps=10,
        measured={"inception_score": [Measured("inception_score", 7.0, "paper", "x", 0.25)]},
        reasons={},
    )
    (number,) = cells(table, row, Budget(name="paper", seeds=1), [one])[0]["measured"]
    assert (number["error"], number["error_is"]) == (
        0.25,
        "standard deviation over the splits of the images, n = 1",
    )
    (number,) = cells(table, row, Budget(name="paper", seeds=2), [one, one])[0]["measured"]
    assert (number["error"], number["error_is"]) == (0.0, "standard error over 2 seeds")


def test_table_is_written_for_people_and_programs(tmp_path: Path) -> None:
    table, row = row_of("sngan/table2", "cifar10_weight_norm")
    budget = Budget(name="short", percent=2, seeds=2, overrides=("batch_total=32",))
    runs = [result(0, fid=30.25), result(1, fid=31.75)]
    made = write_results(tmp_path, [replace(table, rows=[row])], budget, {table.preset(row): runs})
    plot_results(tmp_path / "table.png", made)
    text = (tmp_path / "table.md").read_text()
    assert (
        "| Weight Norm., cifar10 | fid | 34.7 | fid_stand_in 31 ± 0.75 (standard error over 2 seeds; paper) "
        "| short: 2% of the updates |" in text
    )
    assert "batch_total=32" in text
    written = json.loads((tmp_path / "table.json").read_text())
    assert written["budget"]["percent"] == 2
    assert written["tables"][0]["cells"][1]["measured"][0]["mean"] == 31.0
    with Image.open(tmp_path / "table.png") as image:
        assert image.size[0] == 10 * 150


SMOKE = ["--table", "table8", "--budget", "smoke"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", "table3", "--budget", "smoke"], "--table table3: no such table"),
        (["--table", "table8"], "--budget: is needed"),
        (["--figure", "figure8", "--table", "table8"], "--figure figure8: not with --table"),
        (["--figure", "figure75", "--budget", "smoke"], "--figure figure75: no such figure; did you mean figure7"),
        (["--figure", "figure5", "--budget", "smoke"], "--figure figure5: several are called so: sngan/figure5, bssn/"),
        (
            ["--figure", "projection", "--budget", "smoke"],
            "--figure projection: no figure is drawn; projection/figure8: made by",
        ),
        (
            ["--figure", "sngan/figure8"],
            "--figure sngan/figure8: no figure is drawn; sngan/figure8: none: a drawing of a",
        ),
        (
            ["--figure", "table2"],
            "--figure table2: no figure is drawn; sngan/table2: made by --table sngan/table2; bssn/",
        ),
        (["--figure", "figure14", "--rows", "x"], "--figure figure14: several are called so"),
        (
            ["--figure", "sngan/figure14", "--rows", "x"],
            "--rows x: no row is allowed, sngan/figure14 is drawn from none",
        ),
        (["--table", "table8", "--hours"], "--hours: goes with --list, and not with --figure"),
        (["--figure", "sngan/figure1", "--list", "--hours"], "--hours: goes with --list, and not with --figure"),
        (SMOKE, "--run-dir: is needed"),
        ([*SMOKE, "--run-dir", "x", "--seeds", "0"], "--seeds 0: an integer from 1"),
        ([*SMOKE, "--run-dir", "x", "--percent", "0"], "--percent 0: a number above"),
        ([*SMOKE, "--run-dir", "x", "--set", "batch_totl=1"], "--set batch_totl: no such key; did you mean batch_"),
        ([*SMOKE, "--run-dir", "x", "--extractor", "efficientnet"], "--extractor 'efficientnet'"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused_command(main, arguments, f"error: {message}")
    assert list(tmp_path.iterdir()) == []


def test_cost_grows_with_updates_and_batch() -> None:
    config = load_config("bssn/figure2/sn", ["generator.channels=4", "discriminator.channels=4"])
    one = hours(config)
    assert one > 0
    twice = load_config("bssn/figure2/sn", ["generator.channels=4", "discriminator.channels=4", "steps=187400"])
    assert hours(twice) == pytest.approx(2 * one)  # the same measurement, twice the steps


@pytest.mark.slow
def test_finished_runs_are_not_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--table", "bssn/figure2", "--budget", "smoke", "--seeds", "2", "--extractor", "none"]
    command += ["--run-dir", str(tmp_path)]
    assert main([*command, "--rows", "sn"]) == 0
    checkpoints = sorted(tmp_path.rglob("step-*/state.json"))
    times = [path.stat().st_mtime_ns for path in checkpoints]
    assert len({path.parents[2].name for path in checkpoints}) == 2
    before = json.loads((tmp_path / "table.json").read_text())
    assert main(command) == 0  # the other row as well
    assert [path.stat().st_mtime_ns for path in checkpoints] == times
    after = json.loads((tmp_path / "table.json").read_text())
    assert after["tables"][0]["cells"][0] == before["tables"][0]["cells"][0]
    assert [cell["status"] for cell in after["tables"][0]["cells"]] == ["smoke", "smoke"]
    assert all(number["n"] == 2 for cell in after["tables"][0]["cells"] for number in cell["measured"])
    assert "[4/4]" in capsys.readouterr().out


@pytest.mark.slow
def test_no_worker_outlives_a_killed_command(tmp_path: Path) -> None:
    line = ["--table", "bssn/figure2", "--budget", "smoke", "--seeds", "50", "--extractor", "none", "--jobs", "2"]
    command = [sys.executable, "-m", "train.reproduce", *line, "--run-dir", tmp_path / "runs"]
    with started(command, tmp_path / "log") as process:
        wait_for(lambda: any(tmp_path.rglob("result.json")), process)
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
    assert psutil.wait_procs(workers, timeout=20)[1] == []


@pytest.mark.slow
def test_a_row_that_cannot_run_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    command = ["--table", "bssn/figure2", "--budget", "short", "--percent", "0.001", "--seeds", "1"]
    command += ["--extractor", "none", "--data-root", str(tmp_path / "nowhere"), "--run-dir", str(tmp_path / "runs")]
    assert main(command) == 0
    found = json.loads((tmp_path / "runs/table.json").read_text())["tables"][0]["cells"]
    assert [cell["status"] for cell in found] == ["not run", "not run"]
    assert all("nowhere/mnist-28" in cell["reason"] for cell in found)
