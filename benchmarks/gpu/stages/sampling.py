"""Images a second of the 128 px generator."""

from benchmarks import sample
from benchmarks.gpu.campaign import Campaign, Row, Rows
from benchmarks.machine import computes_in_bf16


def run(campaign: Campaign) -> Rows:
    """Time a batch of 64 and single images against the plain reference, in turn."""
    job = campaign.job(128)
    for bf16 in (True, False) if computes_in_bf16(job.device) else (False,):
        for batch in (1, 2) if campaign.narrow else (64, 1):
            found = sample.measure(job, batch, backend="auto", bf16=bf16, rounds=3 if campaign.narrow else 15)
            row: Row = {"ours": "bfloat16" if bf16 else "float32", "batch": batch}
            row |= {f"{side}, images/s": found[side]["images_per_s"] for side in ("reference", "ours")}
            yield "Sampling at 128 px, eager", row | {"times": found["ratio"]}
