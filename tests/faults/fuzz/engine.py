"""One execution of a reader under limits, and a campaign of many."""

import contextlib
import io
import random
import resource
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.fuzz.lines import Lines
from tests.faults.fuzz.mutate import Mutator, mutate_bytes

LONGEST_LINE = 1000  # characters of a refusal
LONGEST_S = 3.0  # of one execution, of this process's own time
HANGS_S = 10.0  # after which it is ended
MOST_BYTES = 1 << 28  # that one execution may take more than any before it
TRACED = 10  # one execution in so many is traced for the lines that it runs
CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Reader:
    """What takes bytes or text of anybody.

    Args:
        seeds: bytes that the product itself has written, or that it takes; made in the given empty folder.
        read: takes a folder to work in, and the bytes.
        refused: the errors that it documents.
        lines: functions, classes and modules that are its own.
        tokens: words of its format.
        share: of a campaign's executions, relative to the others'.
    """

    name: str
    seeds: Callable[[Path], Sequence[bytes]]
    read: Callable[[Path, bytes], object]
    refused: tuple[type[Exception], ...]
    lines: tuple[Any, ...]
    mutate: Mutator = mutate_bytes
    tokens: tuple[bytes, ...] = ()
    share: float = 1.0


class HangError(BaseException):
    """An execution did not end."""


@dataclass
class Tally:
    """What became of a reader's executions."""

    executions: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    percent: float = 0.0
    findings: list[str] = field(default_factory=list)


class Fuzzer:
    """A reader with its seeds, ready to be run.

    Args:
        folder: to work in, its own.
    """

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.reader, self.folder = reader, folder / "work"
        (folder / "seeds").mkdir(parents=True)
        self.folder.mkdir()
        self.seeds = list(reader.seeds(folder / "seeds"))
        self.lines, self.said = Lines(reader.lines), ""
        self.run(self.seeds[0])  # what it imports and keeps is there afterwards
        for seed in self.seeds:  # which it must take
            end = self.run(seed)
            assert end == "accepted", f"{reader.name}: {end} {self.said}: {seed[:200]!r}"

    def input(self, seed: int, number: int) -> bytes:
        """Return the bytes of an execution: a function of the reader, its seeds, the campaign's seed and a number."""
        rng = random.Random(f"{self.reader.name}:{seed}:{number}")
        return self.reader.mutate(rng, self.seeds, self.reader.tokens)

    def run(self, data: bytes, *, traced: bool = True) -> str:
        """Read bytes; return "accepted", "refused", or what is wrong."""
        before, start = _peak_bytes(), time.process_time()
        try:
            with self.lines.counting() if traced else contextlib.nullcontext():
                signal.setitimer(signal.ITIMER_PROF, HANGS_S)
                try:
                    self.reader.read(self.folder, data)
                finally:
                    signal.setitimer(signal.ITIMER_PROF, 0)
        except self.reader.refused as error:
            said = self.said = str(error)
            end = "refused"
            if "\n" in said or len(said) > LONGEST_LINE:
                end = f"a refusal of {len(said)} characters and {said.count(chr(10))} line breaks: {said[:200]!r}"
        except HangError:
            return f"no end after {HANGS_S:g} s"
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {str(error)[:160]!r} at {Path(place.filename).name}:{place.lineno}"
        else:
            end = "accepted"
        if (seconds := time.process_time() - start) > LONGEST_S:
            return f"{seconds:.1f} s"
        if (more := _peak_bytes() - before) > MOST_BYTES:
            return f"{more >> 20} MiB more than before"
        return end

    def campaign(self, seed: int, numbers: range) -> Tally:
        """Run executions, one in `TRACED` traced."""
        tally, start = Tally(), time.perf_counter()
        for number in numbers:
            data = self.input(seed, number)
            end = self.run(data, traced=number % TRACED == 0)
            tally.executions += 1
            tally.accepted += end == "accepted"
            tally.refused += end == "refused"
            if end not in ("accepted", "refused"):
                tally.findings.append(f"--reader {self.reader.name} --seed {seed} --number {number}: {end}")
        tally.seconds, tally.percent = time.perf_counter() - start, self.lines.percent
        return tally


def corpus(reader: Reader) -> list[Path]:
    """Return what was found in a reader, a file each."""
    return sorted((CORPUS / reader.name).glob("*"))


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """Yield a folder in memory where there is one: most executions write a file."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@contextlib.contextmanager
def bounded_memory(more: int = 1 << 31) -> Iterator[None]:
    """Give this process only so much more address space, in bytes, so that an allocation fails and not the machine."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """End an execution that hangs, and keep what readers print to themselves; around everything that is run."""

    def hang(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGPROF, hang)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.signal(signal.SIGPROF, before)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
