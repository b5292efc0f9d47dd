"""Publishing during a run: a thread sends checkpoints to the Hub, one commit a step, and never stops training."""

import os
import random
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from huggingface_hub.utils import disable_progress_bars, logging

from sngan_cond.hub.files import HubUnavailableError
from sngan_cond.validation import one_line
from train.publishing.export import export_checkpoint
from train.publishing.log import PublishLog, UnfitExportError, publish_once
from train.run.checkpoint import checkpoint_folder, remove_later, saved_steps
from train.run.lost import OUTBOX
from train.sections import HubConfig

DRAIN_S, HURRIED_DRAIN_S = 300.0, 20.0  # a machine that is taken away gives a process about half a minute
_NO_OUTBOX = "the outbox cannot be read"
WAITING_MAX = 4  # steps, while the Hub does not answer; the oldest gives way to a new one
PAUSE_S, PAUSE_MAX_S, CLOSING_PAUSE_MAX_S = 1.0, 300.0, 5.0  # after a first failure, twice as long after each further


def open_publisher(hub: HubConfig, run_dir: Path, *, is_main: bool, log: Callable[[str], None]) -> "Publisher | None":
    """Open a run's publisher; what an earlier start was to send to another repo is removed, and named.

    Args:
        is_main: whether this is the process that publishes; others get None.
        log: as for `Publisher`.
    Returns:
        None where nothing is published.
    Raises:
        TrainError: if `published.json` is damaged.
    """
    if not is_main:
        return None
    for outbox in (run_dir / OUTBOX).glob("*--*"):
        if (repo := outbox.name.replace("--", "/")) != hub.repo:
            _give_up(outbox, repo, PublishLog(run_dir), log)
    return None if hub.repo is None else Publisher(run_dir, hub.repo, private=hub.private, log=log)


def _give_up(outbox: Path, repo: str, published: PublishLog, log: Callable[[str], None]) -> None:
    left = ", ".join(str(step) for step in saved_steps(outbox) if published.commit(repo, step) is None)
    if left:
        log(f"not published to {repo}: step {left}; this run publishes there no more, python -m train.publish does")
    shutil.rmtree(outbox, ignore_errors=True)


def forget_published(run_dir: Path, step: int) -> None:
    """Have a run publish the steps after this one again, which it takes anew."""
    for outbox in (run_dir / OUTBOX).glob("*"):
        remove_later(outbox, step)
    PublishLog(run_dir).forget(step)


class Publisher:
    """Sends a run's checkpoints to the Hub in order, from a thread; to be used by the main process only.

    No failure stops the run: each is logged and tried again after a growing pause. Steps that an earlier start
    of the run could not send are sent first; steps that were sent are not sent again.

    Args:
        run_dir: `outbox/` and `published.json` are kept there.
        repo: "user/name"; made if missing.
        private: whether a repo that is made is private.
        log: called with one line for people, from any thread.
    """

    def __init__(self, run_dir: Path, repo: str, *, private: bool = False, log: Callable[[str], None]) -> None:
        self.run_dir, self.repo, self.private, self.log = run_dir, repo, private, log
        self._outbox = run_dir / OUTBOX / repo.replace("/", "--")
        for unfinished in self._outbox.glob(".step-*"):  # an export or a removal that a kill cut off
            shutil.rmtree(unfinished, ignore_errors=True)
        self._published = PublishLog(run_dir)
        for step in saved_steps(self._outbox):
            if self._published.commit(repo, step) is not None:
                self._remove(step)
        self._found = self._waiting()  # of an earlier start
        self._random = random.Random(repo)
        self._change = threading.Condition()
        self._closing = self._gone = False
        self._sending: int | None = None  # the step whose folder the thread reads
        disable_progress_bars()  # their bars would be drawn over the run's, and each of their tries told beside ours
        logging.set_verbosity_error()
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._thread.start()

    def submit(self, checkpoint: Path, step: int) -> None:
        """Take a checkpoint over for publication; returns at once, and may be followed by its removal.

        Args:
            checkpoint: folder of a whole checkpoint.
        """
        try:
            if self._published.commit(self.repo, step) is not None or self._folder(step).exists():
                return
            export_checkpoint(checkpoint, self._folder(step), run_dir=self.run_dir)
            with self._change:
                # What an earlier start left gives way only once the Hub has been asked and does not take it.
                self._give_way([old for old in self._waiting() if old != self._sending and old not in self._found])
                self._change.notify_all()
        except Exception as error:  # whatever it is, no run ends because of its publications
            self._say(f"step {step} is not published: {_reason(error)}")

    def drain(self) -> None:
        """Wait for minutes until all is sent; for a run that has reached its end."""
        self._finish(DRAIN_S)

    def close(self) -> bool:
        """Wait for seconds, then give up; what is left is sent by the next start of the run.

        Returns:
            Whether everything was published.
        """
        self._finish(HURRIED_DRAIN_S)
        with self._change:
            self._gone = True
            self._change.notify_all()
        try:
            left = self._waiting()
        except OSError as error:
            self._say(f"what is not published to {self.repo} yet is not known: {_NO_OUTBOX}: {_reason(error)}")
            return False
        if left:
            steps = ", ".join(map(str, left))
            self._say(
                f"not published to {self.repo}: step {steps}; start the run again, or "
                f"python -m train.publish --run-dir {self.run_dir} --repo {self.repo}"
            )
        return not left

    def _finish(self, timeout_s: float) -> None:
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join(timeout_s)

    def _folder(self, step: int) -> Path:
        return checkpoint_folder(self._outbox, step)

    def _remove(self, step: int) -> None:
        # Renamed first: what cannot be removed, or a kill leaves, no longer waits. Where that fails it stays whole.
        gone = self._folder(step).with_name(f".{self._folder(step).name}.gone")
        with suppress(OSError):
            self._folder(step).rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def _waiting(self) -> list[int]:
        """Return the steps whose folders are in the outbox, the oldest first; a run that is killed finds them there."""
        return [step for step in saved_steps(self._outbox) if self._published.commit(self.repo, step) is None]

    def _give_way(self, steps: list[int]) -> None:
        for old in steps[:-WAITING_MAX]:
            self._say(f"step {old} is not published: newer ones wait and the Hub does not take them")
            self._remove(old)

    def _say(self, line: str) -> None:
        with suppress(Exception):  # a terminal that is gone, or a log on a full disk
            self.log(line)

    def _work(self) -> None:
        failures = 0
        while True:
            step = None
            try:
                if (step := self._next()) is None:
                    return
                commit = publish_once(self._folder(step), step, repo=self.repo, private=self.private)
                self._published.note(self.repo, step, commit)
                failures = 0
                self._remove(step)
                self._say(f"step {step} published to {self.repo}, commit {commit}")
            except UnfitExportError as error:
                failures += 1
                self._say(f"step {step} is not published: {error}")
                self._remove(step)
                if os.path.exists(self._folder(step)) and not self._pause(step, failures, error):  # noqa: PTH110
                    return
            except BaseException as error:  # also one that nobody thought of: what follows is still to be sent
                failures += 1
                if not self._pause(step, failures, error):
                    return

    def _next(self) -> int | None:
        with self._change:
            self._change.wait_for(lambda: self._closing or self._waiting())
            if self._gone:
                return None
            self._sending = next(iter(self._waiting()), None)
            return self._sending

    def _pause(self, step: int | None, failures: int, error: BaseException) -> bool:
        """Wait a while after a failure; return whether to try again."""
        # Half of the pause is chance, so that many runs do not return to the Hub in step.
        pause_s = min(PAUSE_MAX_S, PAUSE_S * 2 ** min(failures - 1, 30)) * (0.5 + 0.5 * self._random.random())
        with self._change:
            self._sending = None
            closing = self._closing
            if closing and not isinstance(error, HubUnavailableError):
                what = _NO_OUTBOX if step is None else f"step {step} is not published"
                self._say(f"{what}: {_reason(error)}")
                return False  # it will not pass by itself, and nobody is there to mend it
            if closing:
                pause_s = min(pause_s, CLOSING_PAUSE_MAX_S)
            with suppress(OSError):  # a disk that fails has been told, or will be with the next try
                self._give_way(self._waiting())
            what = _NO_OUTBOX if step is None else f"step {step} is not published yet"
            if step is not None and not os.path.exists(self._folder(step)):  # noqa: PTH110 - Path's raises on bad disks
                what = f"the last try of step {step} failed"  # which has given way
            self._say(f"{what}: {_reason(error)}; next try in {pause_s:.0f} s")
            # A run that ends meanwhile is a reason for one more try now.
            self._change.wait_for(lambda: self._gone or self._closing != closing, pause_s)
            return not self._gone


def _reason(error: BaseException) -> str:
    expected = isinstance(error, ValueError | OSError | RuntimeError)
    return one_line(error if expected else f"{type(error).__name__}: {error}")
