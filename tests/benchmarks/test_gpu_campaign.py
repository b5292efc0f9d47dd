"""A campaign plans itself, loses nothing to a stage that hangs or fails, and goes end to end on a CPU."""

import json
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import conduct
from benchmarks.gpu.campaign import Campaign
from benchmarks.gpu.plan import MOST, STAGES, Stage, limit
from benchmarks.gpu.report import write_report
from tests.processes import called
from tests.refusals import refused_command

HERE = "tests.benchmarks.campaign_stages"


def test_short_time_is_shared_and_long_time_goes_to_training() -> None:
    stages = (Stage("a", 30, 3, "-"), Stage("b", 60, 6, "-", takes_rest=True), Stage("c", 10, 1, "-"))
    assert limit(stages, 50, "cuda") == pytest.approx(15)
    assert limit(stages, 5, "cpu") == pytest.approx(1.5)
    assert limit(stages[1:], 35, "cuda") == pytest.approx(30)
    assert limit(stages[1:], 1000, "cuda") == 990
    assert limit(stages, 10_000, "cuda") == MOST * 30


@pytest.mark.parametrize(("device", "minutes"), [("cuda", 21), ("cpu", 3)])
def test_the_usual_minutes_give_every_stage_what_it_wants(device: str, minutes: float) -> None:
    assert sum(stage.wanted_s(device) for stage in STAGES) <= 60 * minutes - command.LAST_SECONDS


def _campaign(out: Path) -> Campaign:
    (out / "work").mkdir()
    return Campaign(device="cpu", narrow=True, seconds=0, out=str(out), work=str(out / "work"))


@pytest.mark.slow
def test_a_stage_that_hangs_is_killed_in_time_and_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct, "SHORTEST_S", 0.1)
    stages = [Stage(name, 1, 1, f"{HERE}:{name}") for name in ("hang", "fail", "look_back")]
    stages[0] = stages[0]._replace(cpu_s=2)
    record = {"began": "today", "arguments": "none", "stages": {}}
    started = time.monotonic()
    conduct.conduct(stages, _campaign(tmp_path), record, deadline=started + 8)
    assert time.monotonic() - started < 8.5
    written = json.loads((tmp_path / "campaign.json").read_text())["stages"]
    assert [(name, entry["state"]) for name, entry in written.items()] == [
        ("hang", "killed"),
        ("fail", "failed"),
        ("look_back", "done"),
    ]
    assert written["hang"]["limit_s"] == pytest.approx(4, abs=0.2)  # half of what is left
    assert written["hang"]["limit_s"] <= written["hang"]["seconds"] < 5
    assert written["hang"]["why"].splitlines() == [
        "its time was over",
        "Before it hung: way first \\| half, ms 1,234, nothing -",
        "now it hangs",
    ]
    assert written["fail"]["why"].endswith("RuntimeError: cpu has left")
    assert written["look_back"]["tables"]["Found before"][0]["titles"] == "Before it hung, Before it failed"
    sleeper = int((tmp_path / "sleeper").read_text())
    assert not psutil.pid_exists(sleeper) or psutil.Process(sleeper).status() == psutil.STATUS_ZOMBIE
    report = (tmp_path / "campaign.md").read_text()
    assert "| hang | killed |" in report
    assert "| first \\| half | 1,234 | - |" in report


def test_a_stage_without_time_is_left_out(tmp_path: Path) -> None:
    record = {"began": "today", "arguments": "none", "stages": {}}
    conduct.conduct([Stage("fail", 1, 1, f"{HERE}:fail")], _campaign(tmp_path), record, deadline=time.monotonic() + 1)
    assert record["stages"]["fail"]["state"] == "left out"
    assert record["stages"]["fail"]["why"].endswith("s were left for it")


def test_what_an_earlier_call_found_stays_where_there_is_no_time_to_find_it_again(tmp_path: Path) -> None:
    found = {"state": "done", "limit_s": 9.0, "seconds": 7.0, "tables": {"T": [{"ms": 2}]}}
    record = {"began": "today", "arguments": "none", "stages": {"fail": dict(found)}}
    conduct.conduct([Stage("fail", 1, 1, f"{HERE}:fail")], _campaign(tmp_path), record, deadline=time.monotonic() + 1)
    assert record["stages"] == {"fail": found}


def test_a_report_is_whole_at_any_time(tmp_path: Path) -> None:
    tables = {"T": [{"way": "a", "ms": 0.123456}, {"way": "b", "images": 1234567, "ms": 12.5}]}
    entry = {"state": "running", "limit_s": 5.0, "seconds": 0.0, "tables": tables}
    record = {"began": "today", "arguments": "python -m x", "stages": {"s": entry}}
    write_report(tmp_path, record)
    assert json.loads((tmp_path / "campaign.json").read_text()) == record
    assert (tmp_path / "campaign.md").read_text().splitlines() == [
        *("# Campaign of today", "", "`python -m x`", ""),
        *("| stage | state | seconds | of at most |", "| --- | --- | ---: | ---: |", "| s | running | 0 | 5 |", ""),
        *(
            "## T",
            "",
            "| way | ms | images |",
            "| --- | ---: | ---: |",
            "| a | 0.123 | - |",
            "| b | 12.5 | 1,234,567 |",
        ),
    ]


def test_mistakes_are_refused_by_name(tmp_path: Path) -> None:
    refused_command(command.main, ["--stages", "all"], "--stages all: allowed are machine, smoke")
    refused_command(command.main, ["--minutes", "0"], "--minutes 0: a number above 0 is allowed")
    refused_command(command.main, ["--data", str(tmp_path)], "a folder written by train.prepare is allowed")
    refused_command(command.main, ["--device", "cuda"], "--device cuda: this machine has no GPU that PyTorch can use")
    (tmp_path / "file").touch()
    taken = ["--device", "cpu", "--out", str(tmp_path / "file")]
    refused_command(command.main, taken, f"--out {tmp_path / 'file'}: cannot be written (File exists)")


@pytest.mark.slow
def test_on_a_cpu_stages_measure_and_one_that_hangs_is_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"machine", "compiled_32", "forms"}
    stages = [Stage("hang", 1, 2, f"{HERE}:hang"), *(stage for stage in STAGES if stage.name in chosen)]
    monkeypatch.setattr(command, "STAGES", stages)
    line = ["--device", "cpu", "--minutes", "2.5", "--out", tmp_path]
    status, out, err = called(command.main, *line)
    assert (status, err) == (1, "")
    assert "hang: killed after" in out
    written = json.loads((tmp_path / "campaign.json").read_text())["stages"]
    assert {name: entry["state"] for name, entry in written.items()} == {
        "hang": "killed",
        **dict.fromkeys(("machine", "compiled_32", "forms"), "done"),
    }
    tables = {title: rows for entry in written.values() for title, rows in entry["tables"].items()}
    updates = tables["Updates at 32 px, compiled"]
    assert [row["way"] for row in updates] == ["reference, float32", "ours, float32", "rival, float32"]
    for row in updates:
        for column in ("D, ms", "G, ms", "5 D + G, ms", "real images/s", "starts in, s", "D, share of peak"):
            assert row[column] > 0, column
        assert row["5 D + G, ms"] == pytest.approx(5 * row["D, ms"] + row["G, ms"])
        assert row["first losses off by"] <= 1e-4
    against = tables["Ratios at 32 px, taken in turn"]
    assert [(row["which"], row["against"]) for row in against] == [
        ("ours, float32", "reference, float32"),
        ("ours, float32", "rival, float32"),
    ]
    assert all(row["5 D + G, times"] > 0 for row in against)
    for kind, form in (
        ("upsample and convolve", "shuffled"),
        ("convolve and mean-pool", "strided"),
        ("convolve", "padded"),
    ):
        (rows,) = (rows for title, rows in tables.items() if title.startswith(f"{kind}, "))
        assert {"plain", "minimal", form} <= {row["form"] for row in rows}
        assert all(row["forward and backward, ms"] > 0 < row["forward, ms"] for row in rows)
    report = (tmp_path / "campaign.md").read_text()
    assert all(f"\n## {title}\n\n| " in report for title in tables)
    assert "| torch | " in report
