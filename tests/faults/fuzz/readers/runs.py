"""The files of a run and of its results: state, logs, health, metrics."""

import json
from collections.abc import Sequence
from pathlib import Path

from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER, STATE_FILE, checkpoint_folder
from tests.faults.fuzz.engine import Reader
from tests.faults.fuzz.mutate import mutate_json, mutate_lines
from tests.faults.fuzz.readers.common import check_line, fixed, written
from tests.train.publishing.published_run import METRICS, add_checkpoint
from train import stored
from train.analysis import measure
from train.errors import EvaluationError, TrainError
from train.evaluation import compare
from train.evaluation.classes import FinishedClass
from train.monitor import record
from train.monitor.monitor import MonitorState
from train.publishing.log import PUBLISHED_FILE, PublishLog
from train.reproduction.results import Result
from train.run import scalars
from train.run.checkpoint import whole_checkpoints


def _state_seeds(folder: Path) -> Sequence[bytes]:
    return [(add_checkpoint(folder, 4) / STATE_FILE).read_bytes()]


def _state(folder: Path, data: bytes) -> object:
    root = folder / CHECKPOINTS_FOLDER
    if not root.exists():
        add_checkpoint(folder, 4)
        big = checkpoint_folder(root, 4)
        for path in big.iterdir():  # what is hashed for each execution
            if path.suffix == ".safetensors":
                path.write_bytes(path.read_bytes())
    path = checkpoint_folder(root, 4) / STATE_FILE
    path.write_bytes(data)
    lines: list[str] = []
    found = list(whole_checkpoints(root, lines.append))
    for line in lines:
        check_line(line)
    if not found:
        raise ValueError("skipped: " + lines[0])
    assert found[0].state.step == 4
    return found


def _log_seeds(_: Path) -> Sequence[bytes]:
    lines = [{"step": i, "images_seen": 64 * i, "seconds": 1.5, "d/loss": 0.5 / i, "g/loss": -1.0} for i in range(1, 4)]
    return ["".join(json.dumps(line) + "\n" for line in lines).encode()]


def _publish_log(folder: Path, data: bytes) -> object:
    (folder / PUBLISHED_FILE).write_bytes(data)
    log = PublishLog(folder)
    log.forget(10**9)
    return log.commit("user/x", 4)


def _metrics_file() -> bytes:
    row = METRICS["metrics"][0] | {"settings": {"resize": "none"}}
    return json.dumps({"metrics": [row], "dataset": {"sha256": {"images.npy": "a"}}, "truncation": None}).encode()


def _finished() -> bytes:
    result = {"label": 1, "name": "a", "fakes": 2, "reals": 3, "values": {"frechet": 1.5}, "stds": {}}
    return json.dumps({"identity": "abc", "result": result}).encode()


def _health() -> bytes:
    noted = {
        "symptom": "nan",
        "says": "x",
        "evidence": "y",
        "remedy": "z",
        "rollbacks": 0,
        "step": 3,
        "since": 2,
        "gone": None,
    }
    return json.dumps({"findings": [noted], "rollbacks": [{"step": 9, "to": 4, "because": ["nan"]}]}).encode()


READERS = (
    Reader(
        "health.json",
        fixed(_health()),
        written("health.json", lambda path: record.read_record(path.parent)),
        (TrainError,),
        (stored.read_as, stored.check_as, record.read_record),
        mutate_json,
        share=1.5,
    ),
    Reader(
        "monitor.json",
        fixed('{"looked": 3, "sights": {"nan": {"since": 1, "lines": 2}}, "norms": {"a": [1.0, 2]}}'),
        written("m.json", lambda path: stored.read_as(MonitorState, path)),
        (TrainError,),
        (stored.check_as,),
        mutate_json,
    ),
    Reader(
        "result.json",
        fixed('{"seed": 0, "request": {"a": 1}, "steps": 2, "measured": {}, "reasons": {"run": "x"}}'),
        written("r.json", lambda path: stored.read_as(Result, path)),
        (TrainError,),
        (stored.check_as,),
        mutate_json,
    ),
    Reader(
        "class-00000.json",
        fixed(_finished()),
        written("c.json", lambda path: stored.read_as(FinishedClass, path)),
        (TrainError,),
        (stored.check_as,),
        mutate_json,
    ),
    Reader("state.json", _state_seeds, _state, (ValueError,), (whole_checkpoints,), mutate_json, share=0.3),
    Reader(
        "scalars.jsonl",
        _log_seeds,
        written("scalars.jsonl", measure.read_curves),
        (TrainError,),
        (scalars.log_lines, measure.read_curves),
        mutate_lines,
        (b"NaN", b"images_seen", b"step", b"\xff"),
        share=1.5,
    ),
    Reader(
        "published.json",
        fixed('{"user/x": {"4": "abc", "6": "def"}}'),
        _publish_log,
        (TrainError,),
        (PublishLog.__init__, PublishLog.commit, PublishLog.forget),
        mutate_json,
    ),
    Reader(
        "metrics-compare",
        fixed(_metrics_file()),
        written("m.json", lambda path: compare.compare([path, path])),
        (EvaluationError,),
        (compare,),
        mutate_json,
    ),
)
