"""A campaign on a borrowed GPU machine: everything that only a card can say, in the minutes there are.

`python -m benchmarks.gpu --minutes 15 --out FOLDER` plans itself and stops in time whatever happens. The report is
written after every row, so that whatever stops it loses nothing. Called again with the same --out it adds to it.
"""

import argparse
import json
import shlex
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from train.run.allocator import reexec_with_fast_allocator

if __name__ == "__main__":
    reexec_with_fast_allocator("benchmarks.gpu")

from benchmarks.gpu.campaign import Campaign
from benchmarks.gpu.conduct import ROOT, conduct
from benchmarks.gpu.plan import STAGES, Stage
from benchmarks.gpu.report import JSON, MARKDOWN, Record
from benchmarks.job import check_device
from sngan_cond.cli import run_command
from train.errors import TrainError

RESULTS = ROOT / "benchmarks" / "results"
LAST_SECONDS = 2.0  # for ending processes and the report


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(stage.name for stage in STAGES)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--minutes", type=float, default=20.0, metavar="N", help="for everything (default: %(default)s)")
    add("--device", default="cuda", choices=["cuda", "cpu"], help="cpu: narrow, to try the campaign (default: cuda)")
    add("--out", type=Path, metavar="FOLDER", help="what is kept (default: benchmarks/results/gpu-DATE)")
    add("--work", type=Path, metavar="FOLDER", help="data, checkpoints, compiled code (default: removed at the end)")
    add("--data", type=Path, metavar="FOLDER", help="prepared, 32 px, 10 classes, to train on (default: shapes)")
    add("--stages", nargs="+", metavar="NAME", help=f"only these, in the usual order, of {names}")
    add("--commit", metavar="HASH", help="of the code, where the copy has no Git folder")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign; returns 0 if every stage that was asked for is done, else 1."""
    started = time.monotonic()
    parser = _parser()
    options = parser.parse_args(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    unfinished: list[str] = []
    status = run_command(lambda: unfinished.extend(_run(options, words, started)), TrainError, name=f"{parser.prog}: ")
    return status or int(bool(unfinished))


def _run(options: argparse.Namespace, words: list[str], started: float) -> list[str]:
    """Run what was asked for, and return the names of the stages that are not done."""
    stages = _chosen(options.stages)
    if options.minutes <= 0:
        raise TrainError(f"--minutes {options.minutes:g}: a number above 0 is allowed")
    if options.data is not None and not (options.data / "dataset.json").exists():
        raise TrainError(f"--data {options.data}: a folder written by train.prepare is allowed")
    check_device(options.device)
    now = datetime.now(UTC)
    out = _made("--out", options.out or RESULTS / f"gpu-{now:%Y-%m-%d-%H%M}")
    work = _made("--work", options.work or Path(tempfile.mkdtemp(prefix="campaign-")))
    campaign = Campaign(
        device=options.device,
        narrow=options.device == "cpu",
        seconds=0.0,
        out=str(out),
        work=str(work),
        data=str(options.data.absolute()) if options.data else None,
        commit=options.commit,
    )
    earlier = out / JSON
    record: Record = json.loads(earlier.read_text()) if earlier.exists() else {"stages": {}}
    record |= {
        "began": f"{now:%Y-%m-%d %H:%M} UTC",
        "arguments": shlex.join(["python", "-m", "benchmarks.gpu", *words]),
    }
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a stage that runs is ended as well
    try:
        conduct(stages, campaign, record, deadline=started + 60 * options.minutes - LAST_SECONDS)
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
    print(f"written to {out / JSON} and {MARKDOWN} beside it")
    return [stage.name for stage in stages if record["stages"][stage.name]["state"] != "done"]


def _made(flag: str, folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainError(f"{flag} {folder}: cannot be written ({error.strerror})") from error
    return folder.absolute()


def _chosen(names: list[str] | None) -> list[Stage]:
    known = {stage.name for stage in STAGES}
    for name in names or ():
        if name not in known:
            raise TrainError(f"--stages {name}: allowed are {', '.join(stage.name for stage in STAGES)}")
    return [stage for stage in STAGES if names is None or stage.name in names]


if __name__ == "__main__":
    sys.exit(main())
