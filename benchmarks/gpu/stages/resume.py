"""Does a run that was stopped and went on end with the bits of one that was not?"""

import hashlib
from pathlib import Path

from benchmarks.gpu.campaign import TRAINED, Campaign, Rows
from benchmarks.gpu.processes import run_logged, train_words
from benchmarks.gpu.stages.data import folder
from benchmarks.gpu.stages.training import NARROW_RUN

STEPS = 40
NARROW_STEPS = 4


def run(campaign: Campaign) -> Rows:
    """Train once to the end and once with a stop half way, and compare the checkpoints to the bit.

    Deterministic kernels, updates recorded as graphs where there is a GPU, and not compiled, which would take minutes.

    Raises:
        RuntimeError: if they differ.
    """
    steps = NARROW_STEPS if campaign.narrow else STEPS
    settings = {"data.path": folder(campaign), "deterministic": "true", "speed.compile": "false", "trackers": "[]"}
    settings |= {"decay_from": "null", "save_every": steps // 2, **(NARROW_RUN if campaign.narrow else {})}
    straight, stopped = (Path(campaign.work) / f"resume-{name}" for name in ("straight", "stopped"))
    for run_dir, until in ((straight, steps), (stopped, steps // 2), (stopped, steps)):
        run_logged("train", *train_words(TRAINED, run_dir, {**settings, "steps": until}, campaign.overrides))
    digests = [_digests(run_dir, steps) for run_dir in (straight, stopped)]
    for name in sorted(digests[0] | digests[1]):
        found = [digest.get(name, "missing") for digest in digests]
        row = {"file": name, "not stopped": found[0][:16], "stopped half way": found[1][:16]}
        yield "Resume, deterministic", {**row, "same bits": "yes" if found[0] == found[1] else "no"}
    if digests[0] != digests[1] or not digests[0]:
        raise RuntimeError("the run that went on from its checkpoint ended with other bits")


def _digests(run_dir: Path, step: int) -> dict[str, str]:
    """Return the sha256 of each file of tensors in the checkpoint of a step."""
    checkpoint = run_dir / "checkpoints" / f"step-{step:08}"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in checkpoint.glob("*.safetensors")}
