import errno
import json
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sngan_cond import Generator, GeneratorConfig, sample
from sngan_cond.hub.checkpoints import saved_steps, state_text
from tests.processes import called, python, run
from tests.refusals import refused
from tests.train.launch import logged, refused_run, run_here, tiny_command, weights
from train.__main__ import main
from train.config import TrainConfig
from train.errors import TrainError
from train.publishing.export import export_checkpoint
from train.run import checkpoint
from train.run.agreement import check_batches
from train.run.run import LOCK_FILE
from train.trainer.schedule import linear_decay


def test_the_rate_falls_on_a_line_and_the_last_update_still_moves() -> None:
    factors = [linear_decay(step, decay_from=4, steps=8) for step in range(8)]
    assert factors == [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    assert linear_decay(5, decay_from=None, steps=8) == 1
    assert linear_decay(5, decay_from=400_000, steps=8) == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    run(tiny_command(tiny_data, folder, "trackers=[tensorboard]"))
    return folder


def test_a_run_leaves_scalars_grids_trackers_and_loadable_checkpoints(finished: Path) -> None:
    lines = logged(finished)
    assert [(line["step"], line["images_seen"]) for line in lines] == [(2, 32), (4, 64), (6, 96)]
    assert all(np.isfinite(line["d/loss"]) and np.isfinite(line["g/loss"]) for line in lines)
    assert lines[-1]["lr_g"] == pytest.approx(2e-4 / 3, rel=1e-12)
    with Image.open(finished / "samples/step-00000006.png") as grid:
        assert grid.size == (2 * 34 + 2, 10 * 34 + 2)  # ten classes, two latents, 32 px and 2 px between
    assert sorted(path.name for path in (finished / "checkpoints").iterdir()) == ["step-00000004", "step-00000006"]
    G = Generator.from_pretrained(finished / "checkpoints/step-00000006")
    assert G.config.class_names is not None
    assert sample(G, classes=[3, 4], seed=0).shape == (2, 3, 32, 32)
    facts = json.loads((finished / "training.json").read_text())
    assert facts["images_seen"] == 96
    files = [path for path in finished.rglob("*") if path.is_file() and path.name != LOCK_FILE]
    assert {path.stat().st_mode & 0o777 for path in files} == {finished.stat().st_mode & 0o666}  # others may read them
    assert facts["config"]["steps"] == 6


def test_tensorboard_has_the_grids_of_all_steps_and_both_rates(finished: Path) -> None:
    (folder,) = {path.parent for path in (finished / "trackers").rglob("events.out.tfevents.*")}
    assert folder.name == finished.name
    events = EventAccumulator(str(folder)).Reload()
    settings = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    assert b"discriminator.head" in settings
    sent = {event.step: event.encoded_image_string for event in events.Images("samples")}
    assert sorted(sent) == [0, 3, 6]
    for step, encoded in sent.items():
        with Image.open(BytesIO(encoded)) as image, Image.open(finished / f"samples/step-{step:08d}.png") as grid:
            assert np.array_equal(np.asarray(image), np.asarray(grid)), step
    assert [event.step for event in events.Scalars("lr_g")] == [2, 4, 6]
    assert [event.step for event in events.Scalars("lr_d")] == [2, 4, 6]


def test_a_grid_that_the_run_left_out_is_drawn_for_a_publication(finished: Path, tmp_path: Path) -> None:
    export_checkpoint(finished / "checkpoints/step-00000006", tmp_path / "model", run_dir=tmp_path)
    assert (tmp_path / "model/samples.png").read_bytes() == (finished / "samples/step-00000006.png").read_bytes()


@pytest.mark.slow
def test_the_same_command_again_changes_nothing(finished: Path, tiny_data: Path) -> None:
    before = weights(finished / "checkpoints/step-00000006")
    said = run(tiny_command(tiny_data, finished, "trackers=[tensorboard]")).stdout
    assert "continuing at step 6" in said
    assert "step 6 of 6 was taken before; with more steps the run goes on\n" in said
    after = weights(finished / "checkpoints/step-00000006")
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optim_g.lr=1e-3"], "holds a run with optim_g.lr=0.0002, asked for is 0.001"),
        (["constraint.kind=none"], "holds a run with constraint.kind='spectral', asked for is 'none'"),
        (["speed.compile=true"], "holds a run with speed.compile='auto', asked for is True"),
        (["num_classes=7"], "10 classes, num_classes=7; --set num_classes=10 fits"),
        (["resolution=64"], "images of 32 px, resolution=64"),
        (["data.path=/nowhere/at/all"], "/nowhere/at/all"),
        (["constraint_g.weight_clip=0.01"], "constraint_g.weight_clip=0.01: only a discriminator's update applies it"),
        (["batch_norm=synchronised"], "PyTorch synchronises batch norm on GPUs only"),
        (["seed=9223372036854775808"], "seed=9223372036854775808: a number below 9223372036854775808 "),  # for JSON
    ],
)
def test_what_does_not_fit_is_one_line_and_status_2(
    finished: Path, tiny_data: Path, overrides: list[str], message: str
) -> None:
    refused_run(tiny_command(tiny_data, finished, "trackers=[tensorboard]", *overrides), message)


@pytest.mark.slow
def test_a_run_goes_on_without_graphs(finished: Path, tiny_data: Path) -> None:
    """As a run is told whose update could not be recorded."""
    assert run_here(tiny_command(tiny_data, finished, "trackers=[tensorboard]", "speed.capture=false")) == 0
    assert run_here(tiny_command(tiny_data, finished, "trackers=[tensorboard]")) == 0


def test_a_run_goes_on_whether_its_classes_are_counted_or_given(
    finished: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished / "config.yaml").read_text()
    assert "\nnum_classes: 10\n" in before
    assert run_here(tiny_command(tiny_data, finished, "trackers=[tensorboard]", "num_classes=auto")) == 0
    assert "note: 10 of 10 classes have fewer than 100 images, " in capsys.readouterr().out
    assert (finished / "config.yaml").read_text() == before


@pytest.mark.parametrize("key", ["batch_total", "fakes_per_step"])
def test_a_batch_that_processes_and_micro_batches_cannot_share_is_refused(key: str) -> None:
    """Six images are three for each of two processes, and no two micro-batches of each."""
    config = replace(TrainConfig(accumulate=2, batch_total=8, fakes_per_step=8), **{key: 6})
    refused(lambda: check_batches(config, 2), f"{key}=6: a multiple of 4 is allowed", by=TrainError)


@pytest.mark.parametrize("key", ["batch_total", "fakes_per_step"])
def test_one_image_has_no_moments_of_units(key: str) -> None:
    """At two processes with two micro-batches; where statistics are synchronised, PyTorch takes one of each process."""
    unit = GeneratorConfig(resolution=32, architecture="cnn", first_norm="unit")
    config = replace(TrainConfig(accumulate=2, batch_total=8, fakes_per_step=8, generator=unit), **{key: 4})
    said = f"{key}=4 with generator.first_norm=unit: from 8 is allowed, 2 images for each of 2 processes x accumulate=2"
    refused(lambda: check_batches(config, 2), said, by=TrainError)
    check_batches(config, 1)
    check_batches(replace(config, batch_norm="synchronised"), 2)
    alone = replace(config, batch_norm="synchronised", **{key: 2})
    refused(lambda: check_batches(alone, 1), f"{key}=2 with generator.first_norm=unit", by=TrainError)
    check_batches(replace(alone, generator=replace(unit, first_norm="channel")), 1)


@pytest.mark.slow
def test_a_run_without_evaluation_imports_nothing_that_evaluates() -> None:
    code = "import sys, train.trainer.loop; print({'torch_fidelity', 'torchmetrics'} & set(sys.modules))"
    assert python("-c", code).stdout == "set()\n"


def test_a_second_start_is_refused_before_it_writes_anything(finished: Path, tiny_data: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    with FileLock(finished / LOCK_FILE):
        command = tiny_command(tiny_data, finished, "trackers=[tensorboard]", "log_every=5")
        refused_run(command, "another process trains in it")
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


def test_values_that_are_not_finite_stop_the_run(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hot = ("loss.kind=wasserstein", "constraint.kind=none", "optim_d.lr=0.99", "d_updates_per_step=5")
    often = ("steps=60", "save_every=1", "log_every=50", "sample_every=60")
    assert run_here(tiny_command(tiny_data, tmp_path / "hot", *hot, *often)) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "is not finite; the run stops. Last good checkpoint:" in message
    kept = sorted((tmp_path / "hot/checkpoints").glob("step-*"))
    assert kept
    assert all(torch.isfinite(t).all() for name, t in weights(kept[-1]).items() if t.is_floating_point())


@pytest.mark.parametrize("lacks_a_file", [False, True])
def test_a_checkpoint_of_other_networks_is_refused(
    finished: Path, tiny_data: Path, tmp_path: Path, lacks_a_file: bool
) -> None:
    other, wider = tmp_path / "other", ()
    shutil.copytree(finished, other)
    if lacks_a_file:
        for state in other.glob("checkpoints/*/state.json"):
            noted = {**json.loads(state.read_text()), "files": {}}
            del noted["sha256"]
            state.write_text(state_text(noted))
            state.with_name("generator.safetensors").unlink()
    else:
        config = (other / "config.yaml").read_text()
        (other / "config.yaml").write_text(config.replace("  channels: 4\n", "  channels: 5\n"))
        wider = ("generator.channels=5", "discriminator.channels=5")
    before = {path: path.stat().st_mtime_ns for path in other.rglob("*")}
    status, out, err = called(main, *tiny_command(tiny_data, other, "trackers=[tensorboard]", *wider)[3:])
    assert status == 2
    skipped = "state.json: files lacks generator.safetensors" if lacks_a_file else "generator.safetensors: does not fit"
    assert [line.partition(f": damaged checkpoint skipped ({skipped}")[0] for line in out.splitlines()] == [
        str(other / f"checkpoints/step-0000000{step}") for step in (6, 4)
    ]
    assert "the run has no whole checkpoint (damaged are those of step 4, 6; it had come to step 6)" in err
    assert {path: path.stat().st_mtime_ns for path in other.rglob("*")} == before


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "save_every", "left"), [(7, 7, [4, 6, 7]), (8, 1, [7, 8])])
def test_a_checkpoint_that_the_start_found_damaged_takes_no_whole_ones_place(
    finished: Path, tiny_data: Path, tmp_path: Path, steps: int, save_every: int, left: list[int]
) -> None:
    """Until its step is saved again."""
    shutil.copytree(finished, tmp_path / "run")
    damaged = tmp_path / "run/checkpoints/step-00000006/generator.safetensors"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert run_here(tiny_command(tiny_data, tmp_path / "run", f"steps={steps}", f"save_every={save_every}")) == 0
    assert saved_steps(tmp_path / "run/checkpoints") == left


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EIO, "Input/output error", "some/file"), "some/file: cannot be read now (Input/output error)"),
        (FileNotFoundError("No such file: x"), "step-00000006: cannot be read now (No such file: x)"),
    ],
)
def test_a_checkpoint_that_the_disk_no_longer_gives_is_no_misfit(
    finished: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(checkpoint, "load_file", refuse)
    refused_run(tiny_command(tiny_data, finished, "steps=7"), f"{said}, which may pass; nothing was changed")
