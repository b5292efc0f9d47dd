"""Small image folders and commands for the tests of the data room."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import numpy as np
from PIL import Image

from tests.processes import ROOT, called, python, started, wait_for
from train.data.dataset import PreparedDataset
from train.prepare import main

SHARED = Path(os.environ.get("SNGAN_SHARED", ROOT.parent / "shared"))
FASHION = SHARED / "data" / "fashion-mnist"
PHOTOGRAPHS = SHARED / "data" / "imagenette-144"


def smooth_image(seed: int, width: int, height: int) -> Image.Image:
    """An image of smooth random colours, so that JPEG and resizing keep most of it."""
    coarse = np.random.default_rng(seed).integers(0, 256, size=(4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def image_folder(root: Path, counts: dict[str, int]) -> Path:
    """An image folder with `counts` JPEGs a class, all of different sizes above 20 px."""
    for label, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            smooth_image(100 * label + i, 24 + i % 7, 22 + i % 5).save(root / name / f"{i:03}.jpg", quality=95)
    return root


def prepare(*arguments: object) -> tuple[object, str, str]:
    """Run the command in this process.

    Returns:
        Exit status, standard output, and standard error without the progress bars.
    """
    status, out, err = called(main, *arguments)
    lines = [line for line in err.replace("\r", "\n").split("\n") if line.strip()]
    return status, out, "\n".join(line for line in lines if "%|" not in line)


def run(*arguments: object) -> CompletedProcess[str]:
    """Run the command in a process of its own to its good end."""
    return python("-m", "train.prepare", *arguments)


@contextlib.contextmanager
def start(*arguments: object, chunks: int = 1, **options: Any) -> Iterator[Popen[str]]:
    """Start the command in a process of its own, and wait until so many chunks are made, or for its end.

    What it prints is beside `--out`, in a file ending in `.log`.
    """
    out = arguments[arguments.index("--out") + 1]
    done = Path(f"{out}.partial") / "done.jsonl"
    with started([sys.executable, "-m", "train.prepare", *arguments], Path(f"{out}.log"), **options) as process:
        wait_for(lambda: done.exists() and done.read_bytes().count(b"\n") >= chunks, process)
        yield process


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a prepared data set, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def made(tmp_path: Path, source: object, *options: object, resolution: int = 16) -> PreparedDataset:
    """Prepare a source with the command and open the result."""
    out = tmp_path / "made"
    status, _, err = prepare("--source", source, "--resolution", resolution, "--workers", 1, "--out", out, *options)
    assert status == 0, err
    return PreparedDataset.open(out, verify=True)


def refusal(*arguments: object) -> str:
    """What the command says, in one line and with status 2, to arguments that it refuses."""
    status, said, err = prepare(*arguments)
    assert (status, said, err.count("\n")) == (2, "", 0)
    beginning = "python -m train.prepare: error: "
    assert err.startswith(beginning)
    return err.removeprefix(beginning)


def refused(source: object, *options: object) -> str:
    """What the command says to a source that it cannot prepare."""
    said = refusal("--source", source, "--resolution", 16, "--workers", 1, "--out", "never-made", *options)
    assert not list(Path().glob("never-made*"))
    return said


def arguments(source: object, out: Path, **options: object) -> list[object]:
    """The command's arguments for an image folder at 16 px, in one process unless told otherwise."""
    options = {"workers": 1, **options}
    extra = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    return ["--source", f"imagefolder:{source}", "--resolution", 16, "--out", out, *extra]


def flawed_images(root: Path) -> Path:
    """44 images of three classes, four of them bad in different ways, one of these at the very end."""
    image_folder(root, {"ant": 20, "bee": 14, "cat": 7})
    whole = (root / "ant" / "003.jpg").read_bytes()
    (root / "ant" / "004.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "bee" / "empty.jpg").touch()
    smooth_image(1, 9, 30).save(root / "bee" / "narrow.png")
    (root / "cat" / "zzz.jpg").write_text("no image")
    return root
