"""The command: help, wrong arguments, what it says, and Ctrl-C; shapes through it from end to end."""

import functools
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.processes import ROOT
from tests.train.data.images import prepare, refusal, run, start
from train.data.dataset import PreparedDataset
from train.data.shapes import ShapeClasses, draw
from train.data.sources import FORMS

NEEDED = ("--source", "shapes", "--resolution", 8, "--out", "never-made")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: --source, --resolution, --out"),
        ((*NEEDED, "--resolution", "big"), "argument --resolution: invalid int value: 'big'"),
        ((*NEEDED, "--resolution", 0), "--resolution is 0; allowed is 4 to 1024"),
        ((*NEEDED, "--resolution", 4096), "--resolution is 4096; allowed is 4 to 1024"),
        ((*NEEDED, "--crop", "middle"), "--crop is 'middle'; allowed are center, center:PX, none"),
        ((*NEEDED, "--crop", "center:"), "--crop is 'center:'; allowed are center, center:PX, none"),
        ((*NEEDED, "--crop", "128"), "--crop is '128'; allowed are center, center:PX, none"),
        ((*NEEDED, "--filter", "cubic"), "argument --filter: invalid choice: 'cubic' (choose from "),
        ((*NEEDED, "--fit", "stretch"), "argument --fit: invalid choice: 'stretch' (choose from "),
        ((*NEEDED, "--on-bad-image", "ignore"), "argument --on-bad-image: invalid choice: 'ignore' (choose from "),
        ((*NEEDED, "--workers", 0), "--workers is 0; allowed is 1 or more"),
        ((*NEEDED, "--limit", -3), "--limit is -3; allowed is 1 or more"),
        ((*NEEDED, "--limit", 9), "--limit is 9; allowed is at least one image for each of 10 classes"),
        ((*NEEDED, "--min-side", 0), "--min-side is 0; allowed is 1 or more"),
        ((*NEEDED, "--seed", -1), "--seed is -1; allowed is 0 or more"),
        ((*NEEDED, "--seed", 2**64), f"--seed is {2**64}; allowed is {2**64 - 1} at most, which dataset.json can hold"),
        ((*NEEDED, "--colour"), "unrecognized arguments: --colour"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(arguments: tuple[object, ...], message: str) -> None:
    assert refusal(*arguments).startswith(message)
    assert not (ROOT / "never-made").exists()
    assert not (ROOT / "never-made.partial").exists()


def test_an_out_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("precious")
    for out, message in (
        (full, f"--out: {full} exists and is no prepared data set; choose another name"),
        (full / "thesis.txt" / "below", "--out: cannot write "),
        (full / "thesis.txt", f"--out: {full / 'thesis.txt'} exists and is no prepared data set"),
    ):
        assert refusal("--source", "shapes", "--resolution", 8, "--out", out).startswith(message)
    assert (full / "thesis.txt").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    assert prepare("--source", "shapes", "--resolution", 8, "--limit", 10, "--out", tmp_path / "empty")[0] == 0


def test_verify_finds_damage_in_what_was_there(tmp_path: Path) -> None:
    line = ("--source", "shapes", "--resolution", 8, "--limit", 10, "--workers", 1, "--out", tmp_path / "out")
    assert prepare(*line)[0] == 0
    content = bytearray((tmp_path / "out" / "images.npy").read_bytes())
    content[-1] ^= 1
    (tmp_path / "out" / "images.npy").write_bytes(content)
    assert prepare(*line)[0] == 0
    assert "images.npy: sha256 is" in refusal(*line, "--verify")
    assert "images.npy: sha256 is" in refusal("--verify", tmp_path / "out")
    content[-1] ^= 1
    (tmp_path / "out" / "images.npy").write_bytes(content)
    assert "10 images of 8x8 px, 10 classes of 1, 0.0 MB; every byte" in prepare("--verify", tmp_path / "out")[1]


def test_shapes_through_the_command(tmp_path: Path) -> None:
    line = ("--source", "shapes:12", "--resolution", 16, "--limit", 30, "--seed", 5, "--workers", 1)
    status, said, noted = prepare(*line, "--out", tmp_path / "train")
    assert status == 0
    assert "note: 12 of 12 classes have fewer than 100 images, class 'plain bars' the fewest, 2: D " in noted
    assert said == f"{tmp_path / 'train'} is ready: 30 images of 16x16 px, 12 classes of 2 to 3, 0.0 MB\n"
    dataset = PreparedDataset.open(tmp_path / "train", verify=True)
    assert dataset.class_names[0] == "plain disc"
    assert dataset.class_names[11] == "striped square"
    np.testing.assert_array_equal(dataset.images[13], draw(ShapeClasses(12), 1, side_px=16, key=(5, 0, 13)))
    assert prepare(*line, "--split", "test", "--out", tmp_path / "test")[0] == 0
    unseen = PreparedDataset.open(tmp_path / "test")
    assert (unseen.labels == dataset.labels).all()
    assert not {x.tobytes() for x in dataset.images} & {x.tobytes() for x in unseen.images}


def test_help_states_units_defaults_and_examples() -> None:
    status, said, _ = prepare("--help")
    words = " ".join(said.split())
    assert status == 0
    for part in (
        "side of the result in pixels, integer",
        "(default: skip)",
        "(default: bilinear, the official one)",
        FORMS,
        "examples:",
    ):
        assert part in words


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_is_one_line_and_the_same_command_goes_on(tmp_path: Path, workers: int) -> None:
    """The signal goes to the whole process group, as from a terminal; images take seconds, so it is not too late."""
    out = tmp_path / "out"
    line = ("--source", "shapes", "--resolution", 32, "--limit", 12_000, "--workers", workers, "--out", out)
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it
    with start(*line, start_new_session=True, preexec_fn=heard) as process:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    said = (tmp_path / "out.log").read_text()
    assert "Traceback" not in said
    assert said.rstrip().endswith("interrupted; the same command goes on where it stopped")
    assert not out.exists()
    run(*line)
    assert len(PreparedDataset.open(out, verify=True)) == 12_000
