"""Scores during a run: there, and not in the way of the run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from sngan_cond import ConstraintConfig, Generator, GeneratorConfig, build_constraint
from tests.processes import run
from tests.train.evaluation.parts import measured
from tests.train.launch import logged, refused_run, run_here, tiny_command, weights
from train.data.dataset import PreparedDataset
from train.evaluation.extractors import load_extractor
from train.evaluation.protocols import PROTOCOLS
from train.evaluation.report import weights_sha256
from train.prepare import main as prepare
from train.run.run import Run
from train.trainer import scoring
from train.trainer.state import exported

IDENTITY = ("evaluation.every=3", "evaluation.extractor=identity")
COUNTS = ("evaluation.fakes=40", "evaluation.reals=60")
EVALUATION = (*IDENTITY, *COUNTS, "evaluation.metrics=[precision_recall]")


def scored(run_dir: Path) -> list[dict[str, Any]]:
    """The logged lines that hold scores."""
    return [line for line in logged(run_dir) if any(key.startswith("ema/") for key in line)]


@pytest.mark.slow
def test_evaluation_of_both_generators_changes_no_bit_of_the_run(tmp_path: Path, tiny_data: Path) -> None:
    run(tiny_command(tiny_data, tmp_path / "a", *EVALUATION, "evaluation.batch=16"))
    run(tiny_command(tiny_data, tmp_path / "b"))
    a, b = (weights(tmp_path / name / "checkpoints/step-00000006") for name in "ab")
    assert all(torch.equal(a[name], b[name]) for name in b)
    third, sixth = scored(tmp_path / "a")
    assert (third["step"], sixth["step"]) == (3, 6)
    for name in ("ema", "generator"):
        report = json.loads((tmp_path / f"a/evaluations/step-00000006/{name}.json").read_text())
        assert report["batch_size"] == 16
        row = report["metrics"][0]
        assert (row["fake_count"], row["real_count"]) == (40, 60)
        assert sixth[f"{name}/{row['name']}"] == pytest.approx(row["value"], rel=1e-9)


@pytest.mark.slow
def test_an_average_that_is_the_generator_is_not_scored_again(tmp_path: Path, tiny_data: Path) -> None:
    """As in the papers' rows."""
    assert run_here(tiny_command(tiny_data, tmp_path / "run", *EVALUATION, "ema.decay=0")) == 0
    files = sorted((tmp_path / "run/evaluations").glob("*/*.json"))
    assert [file.relative_to(tmp_path / "run/evaluations").as_posix() for file in files] == [
        "step-00000003/generator.json",
        "step-00000006/generator.json",
    ]
    lines = logged(tmp_path / "run")
    assert [line["step"] for line in lines if any(key.startswith("generator/") for key in line)] == [3, 6]
    assert not scored(tmp_path / "run")


@pytest.mark.slow
def test_each_report_is_of_the_weights_it_names(tmp_path: Path, tiny_data: Path) -> None:
    """What was scored in the run is what a checkpoint of that step holds: the average, and the generator itself."""
    kernel = (*IDENTITY, *COUNTS, "evaluation.metrics=[kernel]", "seed=9")
    assert run_here(tiny_command(tiny_data, tmp_path / "run", *kernel)) == 0
    checkpoint = tmp_path / "run/checkpoints/step-00000006"
    averaged = Generator.from_pretrained(checkpoint)
    raw = Generator(averaged.config).eval()
    raw.load_state_dict(load_file(checkpoint / "generator.safetensors"))
    last = scored(tmp_path / "run")[-1]
    values, identity = {}, load_extractor("identity")
    for name, G in (("ema", averaged), ("generator", raw)):
        report = json.loads((tmp_path / f"run/evaluations/step-00000006/{name}.json").read_text())
        protocol = PROTOCOLS["quick"].reduced(fakes=40, reals=60)
        again = measured(G, PreparedDataset.open(tiny_data), protocol, "kernel", extractor=identity, seed=9)
        assert report["model"]["weights_sha256"] == weights_sha256(G)
        (row,) = report["metrics"]
        values[name] = again.metrics[0]["value"]
        assert row["value"] == pytest.approx(values[name], rel=1e-6)  # one batch of 64 or another
        assert last[f"{name}/{row['name']}"] == row["value"]
    assert values["ema"] != pytest.approx(values["generator"], rel=1e-3)


@pytest.mark.slow
def test_a_constrained_generator_is_saved_plain_and_goes_on(tmp_path: Path, tiny_data: Path) -> None:
    command = tiny_command(tiny_data, tmp_path / "run", "constraint_g.kind=spectral", "save_every=3")
    run(command)
    names = weights(tmp_path / "run/checkpoints/step-00000006")
    assert not any("parametrizations" in name for name in names if name.startswith("model.safetensors"))
    assert any("parametrizations" in name for name in names if name.startswith("ema.safetensors"))
    run([*command, "steps=8"])


@pytest.mark.slow
def test_scores_that_a_kill_took_are_made_at_the_next_start(tmp_path: Path, tiny_data: Path) -> None:
    command = tiny_command(tiny_data, tmp_path / "run", *EVALUATION)
    run(command)
    file = tmp_path / "run/evaluations/step-00000006/generator.json"
    before = json.loads(file.read_text())
    file.unlink()  # as after a kill between the last checkpoint and its scores
    run(command)
    after = json.loads(file.read_text())
    assert (after["metrics"], after["model"]) == (before["metrics"], before["model"])
    assert sorted(line["step"] for line in scored(tmp_path / "run")) == [3, 6]
    written = file.stat().st_mtime_ns
    run(command)
    assert file.stat().st_mtime_ns == written  # nothing left to do


@pytest.mark.slow
@pytest.mark.parametrize("logged", [False, True])
def test_a_kill_before_or_after_a_score_is_logged_loses_neither_lines_nor_files(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, logged: bool
) -> None:
    short = ("steps=3", "decay_from=null", "save_every=1")
    command = tiny_command(tiny_data, tmp_path / "run", *EVALUATION, *short)
    log = Run.log

    def killed(run: Run, step: int, images_seen: int, scalars: dict[str, float]) -> dict[str, float]:
        is_score = any(key.startswith("ema/") for key in scalars)
        values = log(run, step, images_seen, scalars) if logged or not is_score else {}
        if is_score:
            raise KeyboardInterrupt
        return values

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", killed)
        assert run_here(command) == 130
    assert run_here(command) == 0
    assert [line["step"] for line in scored(tmp_path / "run")] == [3]
    files = sorted((tmp_path / "run/evaluations/step-00000003").glob("*.json"))
    assert len(files) == 2
    for file in files:  # or between the two
        file.unlink()
        assert run_here(command) == 0
        assert file.is_file()


@pytest.mark.slow
def test_a_score_that_cannot_be_kept_does_not_end_the_run(tmp_path: Path, tiny_data: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/evaluations").write_text("in the way")
    done = run(tiny_command(tiny_data, tmp_path / "run", *EVALUATION))
    file = tmp_path / "run/evaluations/step-00000006/ema.json"
    assert f"step 6: scores are in the log; {file}: cannot be written (" in done.stdout + done.stderr
    assert "not scored" not in done.stdout + done.stderr
    assert [line["step"] for line in scored(tmp_path / "run")] == [3, 6]
    assert (tmp_path / "run/checkpoints/step-00000006").is_dir()


def test_both_generators_are_scored_as_they_would_be_loaded() -> None:
    """In float32 whatever training runs in; a constraint is folded into the weights."""
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    torch.manual_seed(0)
    bare = Generator(GeneratorConfig(resolution=32, num_classes=0, channels=4, latent_dim=6))
    build_constraint(ConstraintConfig()).attach(bare)
    expected = exported(bare).eval()
    trained = accelerator.unwrap_model(accelerator.prepare(bare))
    z = torch.randn(2, 6)
    shared = scoring._shared_copy(trained.eval())
    assert torch.equal(shared.eval()(z), expected(z))
    assert not torch.equal(trained(z), expected(z))  # bfloat16


def test_what_is_scored_has_the_statistics_of_the_main_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of every other process are its own; the broadcast is replaced by one that brings other numbers."""
    monkeypatch.setattr(scoring, "broadcast", lambda buffer: buffer + 3)
    G = Generator(GeneratorConfig(resolution=32, num_classes=0, channels=4, latent_dim=6))
    for own, shared in zip(G.buffers(), scoring._shared_copy(G).buffers(), strict=True):
        assert torch.equal(shared, own + 3)


def test_what_evaluation_needs_is_asked_for_before_the_first_step(tmp_path: Path, tiny_data: Path) -> None:
    for wrong, message in (
        ("evaluation.protocol=papers", "papers"),
        ("evaluation.metrics=[fid]", "--metrics 'fid': allowed are"),
        ("evaluation.reals=100000", "protocol quick(reduced) takes 100,000"),
    ):
        refused_run(tiny_command(tiny_data, tmp_path / "run", *IDENTITY, wrong), message)
    held_out = tmp_path / "held-out"
    assert prepare(f"--source shapes --resolution 32 --limit 60 --seed 1 --workers 1 --out {held_out}".split()) == 0
    wrong = (f"evaluation.data={held_out}", f"evaluation.test={tiny_data}", "evaluation.reals=60")
    said = f"--test {tiny_data}: holds the images of data.path={tiny_data}; others are allowed"
    refused_run(tiny_command(tiny_data, tmp_path / "run", *IDENTITY, *wrong), said)
    assert not (tmp_path / "run/checkpoints").exists()
