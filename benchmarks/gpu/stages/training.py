"""A real run of the conditional 32 px network, as long as the minutes allow."""

import json
import shutil
import statistics
import time
from pathlib import Path

from benchmarks.gpu.campaign import TRAINED, Campaign, Rows
from benchmarks.gpu.processes import run_until, train_words
from benchmarks.gpu.stages.data import folder
from benchmarks.gpu.stages.updates import title
from train.presets.load import load_config

START_S = {"cuda": 45.0, "cpu": 6.0}  # imports, and compiling once more from the cache
END_S = {"cuda": 10.0, "cpu": 4.0}  # the last step, its checkpoint and grid
SLACK = 1.15  # a step of training beside one of the benchmark: data, average, log
FEW_STEPS = 20  # narrow, or if no stage before has measured a step
NARROW_RUN = {"batch_total": 4, "fakes_per_step": 8, "samples_per_class": 1, "log_every": 1}


def run(campaign: Campaign) -> Rows:
    """Train until the learning rate has reached its end, and keep scalars and the last grid."""
    steps = _steps(campaign)
    run_dir, out = run_folder(campaign), Path(campaign.out)
    settings = {"data.path": folder(campaign), "steps": steps, "decay_from": 0, "trackers": "[]"}
    settings |= {"save_every": max(steps // 4, 1), "sample_every": max(steps // 4, 1)}
    settings |= NARROW_RUN if campaign.narrow else {}
    words = train_words(TRAINED, run_dir, settings, campaign.overrides)
    started = time.perf_counter()
    ended = run_until("train", *words, seconds=campaign.seconds - END_S[campaign.device])
    seconds = time.perf_counter() - started
    lines = [json.loads(line) for line in (run_dir / "scalars.jsonl").read_text().splitlines()]
    shutil.copy(run_dir / "scalars.jsonl", out)
    for grid in sorted((run_dir / "samples").glob("*.png"))[-1:]:
        shutil.copy(grid, out / "samples.png")
    last, rates = lines[-1], [line["images_per_second"] for line in lines[len(lines) // 2 :]]
    row = {"preset": TRAINED, "steps": last["step"], "of": steps, "ended by itself": "yes" if ended else "no"}
    row |= {"seconds with start": seconds, "real images/s, median": statistics.median(rates)}
    yield "Training", {**row, "D loss": last["d/loss"], "G loss": last["g/loss"]}


def run_folder(campaign: Campaign) -> Path:
    """Return where the run is kept."""
    return Path(campaign.work) / "run"


def model_folder(campaign: Campaign) -> Path:
    """Return the newest checkpoint of the run.

    Raises:
        RuntimeError: if there is none.
    """
    found = sorted((run_folder(campaign) / "checkpoints").glob("step-*"))
    if not found:
        raise RuntimeError("the training stage left no checkpoint")
    return found[-1]


def _steps(campaign: Campaign) -> int:
    """Return how many steps fit into the stage, by the fastest way of ours that was measured; the preset's at most."""
    rows = [row for flag in (False, True) for row in campaign.tables.get(title(32, compiled=flag), [])]
    steps_ms = [row["5 D + G, ms"] for row in rows if str(row["way"]).startswith("ours") and "5 D + G, ms" in row]
    if not steps_ms or campaign.narrow:
        return FEW_STEPS
    seconds = campaign.seconds - START_S[campaign.device] - END_S[campaign.device]
    fit = int(seconds / (SLACK * min(float(ms or 0) for ms in steps_ms) / 1e3))
    return max(min(fit, load_config(TRAINED).steps), 1)
