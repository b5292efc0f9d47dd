"""What must be true after a fault: nothing lost, nothing silent, and the bits of a run that nothing happened to."""

import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.faults.cases import PLAIN, SAVE_EVERY, checkpoints, last_logged
from tests.faults.kinds import DAMAGES, KILLS, Fault
from tests.faults.operations import Operation, normalised
from tests.faults.server import Ended

_BAR = re.compile(r"^\s*\d+%\|[^\]]*(\]|$)")  # of tqdm; a warning may follow it on its line


class Start:
    """One start of a command: how its processes ended, what they said, what they left.

    Args:
        ended: of each process.
        said: output and errors of each.
        root: the case's folder, looked at now.
        digest: of it.
    """

    def __init__(self, ended: list[Ended], said: list[str], root: Path, digest: dict[str, object]) -> None:
        self.ended, self.said, self.digest = ended, said, digest
        self.checkpoints, self.last_logged = checkpoints(root), last_logged(root)

    @property
    def status(self) -> int:
        """0, or that of the process that failed first."""
        return next((one.status for one in self.ended if one.status), 0)

    @property
    def output(self) -> str:
        """All that was said."""
        return "\n".join(self.said)

    @property
    def lines(self) -> list[str]:
        """What people are told, line by line."""
        return [line for said in self.said for line in lines_of(said)]


def lines_of(said: str) -> list[str]:
    """Return the lines of an output without progress bars, empty ones, and what Python quotes of its code."""
    lines = (_BAR.sub("", line.rpartition("\r")[2]) for line in said.split("\n"))
    return [line.strip() for line in lines if line.strip() and not line.startswith("  ")]


class Reference(NamedTuple):
    """A case without a fault.

    Args:
        first: start of the command.
        again: a second one, after it.
        operations: of each process, with what was there.
        later: of the second start.
    """

    first: Start
    again: Start
    operations: list[list[tuple[Operation, str]]]
    later: list[Operation]

    @property
    def read(self) -> set[str]:
        """Places that the command reads, at this start or a later one."""
        first = (operation for one in self.operations for operation, _ in one)
        return {o.place for o in (*first, *self.later) if o.kind in ("read", "load")}

    @property
    def has_steps(self) -> bool:
        """Whether the command trains."""
        return any(one.first_step_s is not None for one in self.first.ended)

    def is_usual(self, line: str) -> bool:
        """Return whether a line is also said where nothing happens."""
        usual = (*self.first.lines, *self.again.lines)
        return _form(line) in map(_form, usual) or (
            line.startswith(("continuing at step", "step ", "note: ")) and ("not" not in line)
        )

    def refuses(self, start: Start) -> bool:
        """Return whether a start was refused, as no second start is."""
        return start.status == 2 and not (self.again.status == 2 and self.is_usual(_error(start)))


class Verdict(NamedTuple):
    """What a try has shown.

    Args:
        reached: whether the fault struck.
        wrong: what should not have been, in words; nothing if all is well.
        recovered_s: from the restart to the first new step, or to the end of a command without steps.
    """

    fault: Fault
    reached: bool = True
    wrong: tuple[str, ...] = ()
    recovered_s: float | None = None


def judge(fault: Fault, reference: Reference, struck: Start, again: Start, restored: Start | None) -> Verdict:
    """Judge a try.

    Args:
        struck: the start that the fault struck.
        again: the same command once more.
        restored: and a third time, with what was damaged put back, where the second refused it.
    """
    wrong = [*_ending(fault, struck, reference), *_saved(fault, struck)]
    named = [line for line in (*struck.lines, *again.lines) if not reference.is_usual(line)]
    victim = fault.operation.place
    may_differ = _may_differ(fault, reference, named)
    if struck.status == 0 and not named:
        wrong += _told("silent", _without_drafts(_differences(reference.first, struck, may_differ)))
    elif struck.status in (0, 2) and not any(_is_about(fault, line) for line in named):
        wrong.append(f"nothing is said of {victim}: {named[0] if named else 'nothing new'}")
    if reference.refuses(again) and _took_run(fault):  # which nobody can put back
        return Verdict(fault, True, tuple(wrong if "run" in _error(again) else [*wrong, f"refused: {_error(again)}"]))
    last = again
    if reference.refuses(again) and fault.kind in DAMAGES:
        if restored is None:
            wrong.append(f"cannot be started again: {_error(again)}")
        elif not _names(victim, _error(again)):
            wrong.append(f"the refusal does not name {victim}: {_error(again)}")
        last = restored or again
    wrong += [f"started again: {what}" for what in _ending_unstruck(last, reference)]
    differing = _differences(reference.first, last, may_differ)
    wrong += _told("not as without the fault", differing if last.status == 0 else _without_drafts(differing))
    firsts = [one.first_step_s for one in last.ended if one.first_step_s is not None]
    return Verdict(fault, True, tuple(wrong), max(firsts) if firsts else max(one.seconds for one in last.ended))


def _ending(fault: Fault, start: Start, reference: Reference) -> Iterator[str]:
    """Check how the struck processes ended, and that what they said was said once."""
    errors = [line for line in start.lines if re.search(r"(^|: )error: ", line)]
    for rank, (one, said) in enumerate(zip(start.ended, start.said, strict=True)):
        struck = rank == fault.rank
        who = f"rank {rank}: " if len(start.ended) > 1 else ""
        if one.hung and not (struck and fault.kind == "freeze"):
            yield f"{who}hangs"
        elif one.status == -signal.SIGTERM and not struck:
            continue  # the launcher's
        elif one.status == -signal.SIGBUS and fault.kind == "cut" and fault.operation.place.startswith("data/"):
            continue  # a mapped file that ends before it did; nothing can be said then, and the next start says it
        elif one.status not in (0, 2) and not (struck and fault.kind in (*KILLS, "freeze")):
            yield f"{who}ends with status {one.status}"
        if "Traceback" in said:
            yield f"{who}traceback: {said.strip().splitlines()[-1][:200]}"
            continue
        new = Counter(line for line in lines_of(said) if not reference.is_usual(line))
        yield from (f"{who}said {count} times: {line[:200]}" for line, count in new.items() if count > 1)
    if start.status == 2 and len(start.ended) == 1 and len(errors) != 1:
        yield f"{len(errors)} lines of errors"


def _ending_unstruck(start: Start, reference: Reference) -> Iterator[str]:
    for one, said in zip(start.ended, start.said, strict=True):
        if one.hung:
            yield "hangs"
        elif one.status and (one.status != 2 or reference.refuses(start)):
            yield f"ends with status {one.status}: {_error(start)}"
        if "Traceback" in said:
            yield f"traceback: {said.strip().splitlines()[-1][:200]}"


def _saved(fault: Fault, start: Start) -> Iterator[str]:
    """Check that what is on the disk is at most a save interval old, and one that is being written."""
    if (fault.kind in DAMAGES and "checkpoints" in fault.operation.place) or _took_run(fault):
        return
    newest = max((step for step, whole in start.checkpoints.items() if whole), default=0)
    if start.last_logged - newest >= 2 * SAVE_EVERY:
        yield f"lost: step {start.last_logged} was logged, the newest whole checkpoint is of step {newest}"


def _took_run(fault: Fault) -> bool:
    return fault.kind == "no-run" or (fault.kind in DAMAGES and fault.operation.place in ("run", "run/checkpoints"))


def _may_differ(fault: Fault, reference: Reference, named: list[str]) -> tuple[str, ...]:
    """Return beginnings of the names of what a fault may change for good."""
    victim = fault.operation.place
    if fault.kind in DAMAGES and named and not reference.has_steps:
        return ("",)  # the command took another checkpoint, and said so
    if fault.kind == "gone" and re.fullmatch(r"run/checkpoints/step-\d+", victim) and not reference.has_steps:
        return ("",)  # gone before it was listed, which is as if it had not been there; results name their checkpoint
    last = f"run/checkpoints/step-{max(reference.first.checkpoints, default=0):08d}/"
    if named and _took_run(fault):  # what it held but for the end is not made again
        return tuple(name for name in reference.first.digest if not name.startswith(last))
    unsaved = [step for line in named if "cannot be saved" in line for step in re.findall(r"step-\d{8}", line)[:1]]
    allowed = tuple(name for step in unsaved if (name := f"run/checkpoints/{step}/") != last)
    if unsaved or any(" not published" in line for line in named):
        allowed += "hub", "run/published.json"
    if fault.kind not in DAMAGES:
        return (*allowed, *PLAIN) if named else ()
    if victim.startswith(PLAIN) or victim.endswith("/samples.png"):  # which the outbox and `samples/` share
        return (*allowed, *PLAIN)
    if linked := re.match(r"run/outbox/[^/]+/(?P<file>step-\d+/.+)", victim):  # a checkpoint has the same bytes
        allowed += (f"run/checkpoints/{linked['file']}",)
    checkpoint = re.match(r"run/checkpoints/step-\d+/", victim)  # an older one is verified when it is needed
    return (*allowed, victim) if named or checkpoint or not _is_read(victim, reference) else allowed


def _without_drafts(differences: list[str]) -> list[str]:
    """Leave out what waits for the next start, which removes it."""
    return [what for what in differences if "/." not in what.partition(": ")[0]]


def _told(head: str, differences: list[str]) -> list[str]:
    more = [f"{head}: and {len(differences) - 3} more"] if len(differences) > 3 else []
    return [f"{head}: {what}" for what in differences[:3]] + more


def _differences(a: Start, b: Start, may_differ: tuple[str, ...]) -> list[str]:
    """Name what two starts left unlike."""
    found = []
    for name in sorted(a.digest.keys() | b.digest.keys()):
        was, now = a.digest.get(name, "nothing"), b.digest.get(name, "nothing")
        if was != now and not name.startswith(("run/checkpoints/damaged-", *may_differ)):
            found.append(f"{name}: {_short(was)}, {_short(now)}" if isinstance(was, str) else _unlike(name, was, now))
    return found


def _unlike(name: str, was: object, now: object) -> str:
    if isinstance(was, list) and isinstance(now, list):
        lost, new = ([row for row in a if row not in b] for a, b in ((was, now), (now, was)))
        if not lost and not new:
            return f"{name}: {len(was)} rows, {len(now)} in another order or number"
        return f"{name}: {len(lost)} rows lost {_short(lost[:1])}, {len(new)} new {_short(new[:1])}"
    return f"{name}: {_short(was)}, {_short(now)}"


def _short(value: object) -> str:
    return str(value)[:60]


def _is_read(place: str, reference: Reference) -> bool:
    return any(read == place or read.startswith(f"{place}/") for read in reference.read)


def _names(place: str, line: str) -> bool:
    """Return whether a line names a file, or a folder that it is in."""
    return any(part in line for part in place.split("/"))


def _is_about(fault: Fault, line: str) -> bool:
    """Return whether a line tells of a fault: the place, what the system said, or that the Hub does not answer."""
    words = ("No space left", "Input/output error", "Stale file handle", "Read-only", "Hub", "published", "has ended")
    if fault.kind == "freeze" and "do not meet" in line:  # who has not joined yet is known to nobody
        return True
    return _names(fault.operation.place, line) or any(word in line for word in words)


def _error(start: Start) -> str:
    return next((line for line in start.lines if "error: " in line), (start.lines or ["nothing said"])[-1])[:300]


def _form(line: str) -> str:
    """Return a line without its numbers, for no two starts take the same time."""
    return re.sub(r"[0-9a-f]{40}|\d+([.,]\d+)*", "#", normalised(line))
