"""The commands that are struck, each in a folder of its own, and what of a folder two runs must have alike."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.operations import normalised

REPO = "alice/run"
SAVE_EVERY = 2
_SETS = [
    *("data.path=data", "steps=6", "decay_from=3", f"save_every={SAVE_EVERY}", "log_every=1", "sample_every=3"),
    *("evaluation.every=3", "evaluation.extractor=identity", "evaluation.fakes=20", "evaluation.reals=30"),
    *("evaluation.metrics=[precision_recall]", f"hub.repo={REPO}", "hub.every=2", "keep_checkpoints=3"),
]
_TRAIN = ["train", "--preset", "tiny", "--run-dir", "run", "--set", *_SETS]
_TWO = [*_TRAIN, "process_timeout=5"]
_PREPARE = ["prepare", "--source", "shapes", "--resolution", "32", "--limit", "60", "--workers", "1", "--out", "data"]


class Case(NamedTuple):
    """A command and what lies in its folder.

    Args:
        command: of `child.COMMANDS`, with its arguments.
        needs: folders that are copied from the campaign's base, by their names there, to their names here.
        ranks: number of processes.
    """

    command: list[str]
    needs: dict[str, str] = {}  # noqa: RUF012 - never changed
    ranks: int = 1

    def lay(self, base: Path, root: Path) -> None:
        """Make the case's folder."""
        root.mkdir(parents=True)
        (root / "home").mkdir()
        for name, here in self.needs.items():
            shutil.copytree(base / name, root / here)


CASES = {
    "train": Case(_TRAIN, {"data": "data"}),
    "go-on": Case(_TRAIN, {"data": "data", "half": "run"}),
    "start-from": Case([*_TRAIN, "init_from=model", "hub.repo=null"], {"data": "data", "model": "model"}),
    "prepare": Case(_PREPARE),
    "publish": Case(["publish", "--run-dir", "run", "--out", "out"], {"data": "data", "whole": "run"}),
    "sample": Case(
        ["sngan-cond", "sample", "--model", "run", "--class", "3", "--n", "4", "--out", "out.png"], {"whole": "run"}
    ),
    "evaluate": Case(
        ["evaluate", "--model", "run", "--data", "data", "--protocol", "quick", "--extractor", "identity", "--out",
         "out.json", "--device", "cpu", "--fakes", "20", "--reals", "30", "--metrics", "precision_recall"],
        {"data": "data", "whole": "run"},
    ),
    "two": Case(_TWO, {"data": "data"}, ranks=2),
    "two-go-on": Case(_TWO, {"data": "data", "half-of-two": "run"}, ranks=2),
}  # fmt: skip
_KILL = "kill-before:rename run/checkpoints/step-00000006:1:0"
BASE = {  # what the campaign makes first, in this order: a case, the fault that ends it, the folder that is kept
    "data": (Case(_PREPARE), "", "data"),
    "half": (Case(_TRAIN, {"data": "data"}), f"train/0/{_KILL}", "run"),
    "half-of-two": (Case(_TWO, {"data": "data"}, ranks=2), f"two/0/{_KILL}", "run"),
    "whole": (Case(_TRAIN, {"data": "data"}), "", "run"),
    "model": (Case([*_TRAIN, "hub.repo=null", "seed=5", "steps=2"], {"data": "data"}), "", "run"),
}
ONE = [name for name, case in CASES.items() if case.ranks == 1]
TWO = [name for name, case in CASES.items() if case.ranks == 2]

# What a run writes without checksums, and never reads to train: log, scores, grids, trackers, what was published.
PLAIN = (
    *("run/scalars.jsonl", "run/evaluations/", "run/samples/", "run/trackers/", "events", "out/samples.png"),
    *("run/training.json", "run/published.json"),
)

_VOLATILE = ("seconds", "images_per_second", "created", "date", "command", "commit", "versions", "hardware")
_UNSTEADY = ("images_per_second", "samples")  # a time, and images that a run which was killed had yet to send
_IGNORED = ("home/", "run/.lock", "run/compiled/")


def digest(root: Path, titles: list[str]) -> dict[str, object]:
    """Return every file of a case's folder with what its content comes to, free of times and process numbers.

    Args:
        titles: of the Hub's commits, newest first.
    """
    found: dict[str, object] = {"hub": titles}
    events = []
    for path in sorted(root.rglob("*")):
        name = normalised(str(path.relative_to(root)))
        if path.is_dir() or any(name.startswith(prefix) for prefix in _IGNORED):
            continue
        if "tfevents" in path.name:
            events += _events(path)
        else:
            found[name] = _content(path)
    if (root / "run").is_dir():
        found["events"] = sorted(set(events))
    return found


def _content(path: Path) -> object:
    try:
        if path.name == "scalars.jsonl":
            return [_steady(json.loads(line)) for line in path.read_text().splitlines()]
        if path.suffix == ".json":
            values = _steady(json.loads(path.read_text()))
            if path.name == "state.json":
                values.pop("sha256", None)  # of itself, with its times
            return values
    except ValueError:
        return "damaged"
    content = path.read_bytes()
    if path.suffix in (".md", ".yaml"):
        content = re.sub(rb"[0-9a-f]{40}", b"COMMIT", content)
    return hashlib.sha256(content).hexdigest()


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _steady(v) for k, v in value.items() if k not in _VOLATILE and k not in ("training.json", "health")}
    if isinstance(value, str):
        return re.sub(r"\b[0-9a-f]{40}\b", "COMMIT", value)
    return [_steady(item) for item in value] if isinstance(value, list) else value


def _events(path: Path) -> Iterator[tuple[int, str]]:
    """Go through what a file of TensorBoard holds: step and tag."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader  # it takes a second

    for event in EventFileLoader(str(path)).Load():
        yield from ((event.step, value.tag) for value in event.summary.value if value.tag not in _UNSTEADY)


def newest_whole(root: Path) -> int:
    """Return the step of the newest checkpoint that has every file that it says, -1 where there is none."""
    return max((step for step, whole in checkpoints(root).items() if whole), default=-1)


def checkpoints(root: Path) -> dict[int, bool]:
    """Return which steps have a checkpoint, and whether it is whole."""
    return {int(folder.name[5:]): _is_whole(folder) for folder in (root / "run/checkpoints").glob("step-*")}


def _is_whole(folder: Path) -> bool:
    try:
        state = json.loads((folder / "state.json").read_text())
        files: dict[str, str] = state["files"]
        return state["step"] == int(folder.name[5:]) and all(
            hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected for name, expected in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def last_logged(root: Path) -> int:
    """Return the last step in a run's log, -1 where there is none."""
    steps = [-1]
    try:
        lines = (root / "run/scalars.jsonl").read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        try:
            steps.append(int(json.loads(line)["step"]))
        except (ValueError, KeyError, TypeError):
            continue
    return max(steps)
