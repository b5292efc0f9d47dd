"""A forked process that becomes a command, with the injector before its disk and network."""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import torch.utils.tensorboard  # noqa: F401 - what the commands import late, once and for all

import train.evaluate
import train.prepare
import train.publish
import train.publishing.by_hand
import train.trainer.loop
import train.trainer.scoring
from sngan_cond import cli
from tests.faults.injector import Injector
from tests.faults.kinds import Fault, Strike
from tests.faults.server import Job
from train import __main__ as trainer
from train.run.run import Run

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": trainer.main,
    "prepare": train.prepare.main,
    "publish": train.publish.main,
    "evaluate": train.evaluate.main,
    "sngan-cond": cli.main,
}


def become(job: Job, hub_port: int, start: float) -> NoReturn:
    """Run the command in this process, and end with its status as an interpreter would."""
    status = 1
    try:
        descriptor = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.chdir(job.root)
        os.environ.update(job.environment)
        _note_first_step(Path(f"{job.log}.first"), start)
        root = Path(job.root)
        strike = Strike(Fault.parse(job.fault), root, Path(job.fired)) if job.fault else None
        record = Path(job.record) if job.record else None
        Injector(root, hub_port=hub_port, strikes=strike, record=record).install()
        name, *arguments = job.command
        status = COMMANDS[name](arguments)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # an interpreter waits for its threads
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _note_first_step(file: Path, start: float) -> None:
    """Write down when the run logs for the first time."""
    file.unlink(missing_ok=True)
    log = Run.log

    def noting(*args: object, **options: object) -> dict[str, float]:
        values = log(*args, **options)  # type: ignore[arg-type]
        if not file.exists():
            file.write_text(str(time.monotonic() - start))
        return values

    Run.log = noting  # type: ignore[method-assign, assignment]
