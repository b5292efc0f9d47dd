"""Scores of the model that the campaign trained, under the best extractor whose weights are there."""

import json
from pathlib import Path

from benchmarks.gpu.campaign import Campaign, Rows
from benchmarks.gpu.processes import run_logged
from benchmarks.gpu.stages.data import folder
from benchmarks.gpu.stages.training import model_folder
from train.errors import EvaluationError
from train.evaluation.weights import FALLBACK, INCEPTION, find_weights


def run(campaign: Campaign) -> Rows:
    """Score under the protocol 50k, narrow under few images, and keep metrics.json."""
    extractor = _extractor()
    out = Path(campaign.out) / "metrics.json"
    words = ["--model", model_folder(campaign), "--data", folder(campaign), "--extractor", extractor, "--out", out]
    words += ["--metrics", "class_score", "frechet", "--device", campaign.device, "--no-progress"]
    words += ["--cache", Path(campaign.work) / "features"]
    words += ["--protocol", "quick", "--fakes", 40, "--reals", 40] if campaign.narrow else ["--protocol", "50k"]
    run_logged("train.evaluate", *words, "--batch", 20 if campaign.narrow else 512)
    for metric in json.loads(out.read_text())["metrics"]:
        row = {"score": metric["name"], "value": metric["value"], "deviation": metric["std"]}
        counts = {"fakes": metric["fake_count"], "reals": metric["real_count"]}
        yield "Scores", {**row, "protocol": metric["protocol"], **counts}


def _extractor() -> str:
    """Return the name of the first extractor whose weights are found.

    Raises:
        EvaluationError: if there are none.
    """
    try:
        find_weights(INCEPTION, None)
    except EvaluationError:
        find_weights(FALLBACK, None)
        return FALLBACK
    return INCEPTION
