"""The images that the campaign trains on: what it was given, or shapes drawn here."""

import json
from pathlib import Path

from benchmarks.gpu.campaign import Campaign, Rows
from benchmarks.gpu.processes import run_logged

SHAPES = 10_000
NARROW_SHAPES = 200


def folder(campaign: Campaign) -> Path:
    """Return where the prepared data set is."""
    return Path(campaign.data) if campaign.data else Path(campaign.work) / "shapes-32"


def prepare(campaign: Campaign) -> Rows:
    """Draw shapes of 10 classes if no data set was given, and say what there is."""
    where = folder(campaign)
    if campaign.data is None:
        count = NARROW_SHAPES if campaign.narrow else SHAPES
        run_logged("train.prepare", "--source", "shapes:10", "--resolution", 32, "--limit", count, "--out", where)
    info = json.loads((where / "dataset.json").read_text())
    yield "Data", {"source": str(info["source"]), "images": info["count"], "side, px": info["resolution"]}
