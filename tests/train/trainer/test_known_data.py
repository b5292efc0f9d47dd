"""A run knows its data, wherever they lie: others are refused with both identities."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.train.launch import refused_run, run_here, tiny_command
from train.prepare import main as prepare
from train.trainer import known_data


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """A run of two steps, and its data, in one folder."""
    folder = tmp_path_factory.mktemp("known")
    shutil.copytree(tiny_data, folder / "data")
    assert run_here(tiny_command(folder / "data", folder / "run", "steps=2")) == 0
    return folder


@pytest.fixture
def copied(begun: Path, tmp_path: Path) -> Path:
    shutil.copytree(begun, tmp_path / "there")
    return tmp_path / "there"


def command(folder: Path, *overrides: str, steps: int = 3) -> list[str]:
    return tiny_command(folder / "data", folder / "run", f"steps={steps}", *overrides)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def edit_info(folder: Path, **changes: object) -> None:
    path = folder / "data/dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def other_images(folder: Path, *words: str) -> None:
    shutil.rmtree(folder / "data")
    line = ["--source", "shapes", "--resolution", "32", "--out", str(folder / "data")]
    assert prepare([*line, *words]) == 0


def test_a_run_goes_on_wherever_its_data_were_moved_to(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sums = json.loads((copied / "data/dataset.json").read_text())["sha256"]
    before = {path.name: path.stat() for path in (copied / "data").iterdir()}
    assert run_here(command(copied)) == 0
    out = capsys.readouterr().out
    assert f"data: 200 images, images.npy of sha256 {sums['images.npy'][:12]}\n" in out
    record = json.loads((copied / "run/training.json").read_text())["data"]
    assert (record["source"], record["count"], record["sha256"]) == ("shapes", 200, sums)
    after = {path.name: path.stat() for path in (copied / "data").iterdir()}
    assert {name: stat.st_mtime_ns for name, stat in after.items()} == {
        name: stat.st_mtime_ns for name, stat in before.items()
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: other_images(folder, "--limit", "200", "--seed", "5"), ["there count 200, images.npy "]),
        (lambda folder: other_images(folder, "--limit", "210"), ["there count 210, ", "in its checkpoint count 200, "]),
        (
            lambda folder: edit_info(folder, class_names=[*"abcdefghij"]),
            ["there count 200, class_names ", "and in its checkpoint count 200, class_names "],
        ),
    ],
)
def test_other_data_are_refused_with_both_identities(
    copied: Path, change: Callable[[Path], None], words: list[str]
) -> None:
    change(copied)
    said = refused_run(command(copied), "not the data that the run was trained on: ", *words)
    assert said.startswith(f"error: data.path={copied / 'data'}: ")


@pytest.mark.parametrize(("name", "whole"), [("images.npy", 1 << 28), ("labels.npy", 1 << 28), ("labels.npy", 1000)])
def test_changed_bytes_are_refused_at_every_start(
    copied: Path, monkeypatch: pytest.MonkeyPatch, name: str, whole: int
) -> None:
    """Those of labels also where the images are too large for that."""
    monkeypatch.setattr(known_data, "READ_WHOLE", whole)
    path = copied / "data" / name
    if name == "images.npy":
        flip(path, -9)
    else:  # of which every class has as many images as before
        labels = np.load(path)
        labels[[0, 1]] = labels[[1, 0]]
        np.save(path, labels)
    refused_run(command(copied), f"data.path={path}: sha256 is ", "dataset.json says ", "; the file has changed")


@pytest.mark.slow
def test_of_large_images_all_bytes_are_read_where_the_file_has_changed_or_on_request(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(known_data, "READ_WHOLE", 1000)
    images = copied / "data/images.npy"
    assert run_here(command(copied)) == 0  # copied with their times
    assert "was copied or changed since" not in capsys.readouterr().out
    os.utime(images, ns=(0, 5))
    assert run_here(command(copied, steps=4)) == 0
    assert "images.npy was copied or changed since; all of it is read" in capsys.readouterr().out
    flip(images, 5000)
    os.utime(images, ns=(0, 5))
    assert run_here(command(copied, steps=5)) == 0  # which nothing tells but its bytes
    asked = command(copied, steps=6)
    refused_run([*asked[:3], "--verify-data", *asked[3:]], f"{images}: sha256 is ", "the file has changed")
    os.utime(images, ns=(0, 6))
    assert run_here(command(copied, steps=6)) == 2
    assert f"error: {images}: sha256 is " in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_of_an_earlier_version_learns_its_data_with_its_next_checkpoint(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = copied / "run/checkpoints/step-00000002/state.json"
    noted = {**json.loads(state.read_text()), "format": 1}
    del noted["sha256"], noted["data"]
    state.write_text(json.dumps(noted, indent=2))
    refused_run(command(copied), "its checkpoints do not say what they were trained on, so data.path=")
    (copied / "run/config.yaml").write_text(
        (copied / "run/config.yaml").read_text().replace(_path_in(copied), str(copied / "data"))
    )
    for steps, times in ((3, 1), (4, 0)):
        assert run_here(command(copied, steps=steps)) == 0
        assert capsys.readouterr().out.count("the checkpoints do not say what they were trained on") == times
    newest = json.loads((copied / "run/checkpoints/step-00000004/state.json").read_text())
    assert (
        newest["data"]["images.npy"] == json.loads((copied / "data/dataset.json").read_text())["sha256"]["images.npy"]
    )


def _path_in(folder: Path) -> str:
    lines = (folder / "run/config.yaml").read_text().splitlines()
    return next(line.split("path: ")[1] for line in lines if line.strip().startswith("path: "))
