"""Chooses faults evenly over kinds and areas, tries them, and repeats them by their line."""

import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from random import Random
from typing import Any, Self

from tests.faults.cases import BASE, CASES, REPO, Case, digest
from tests.faults.kinds import DAMAGES, KINDS, OF_CONTENT, Fault
from tests.faults.operations import Operation, area, is_draft
from tests.faults.oracle import Reference, Start, Verdict, judge
from tests.faults.server import Job, Server
from tests.hub.stand_in import HubStandIn
from tests.hub.store import Store

_KEEP = "FAULTS_KEEP" in os.environ
DEADLINE_S = 45.0  # of one start; an unfaulted one takes a second


class Slot:
    """A server with a Hub of its own: what tries one fault at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._stack = folder, contextlib.ExitStack()
        folder.mkdir(parents=True)
        self.hub = self._stack.enter_context(HubStandIn(folder / "hub"))
        (folder / "home").mkdir()
        environment = self.hub.environment(folder / "home") | {"TORCH_CPP_LOG_LEVEL": "ERROR"}  # as `train.__main__`
        self.server = self._stack.enter_context(Server(folder / "server.txt", environment, self.hub.port))
        self._stores = 0

    def fresh_hub(self) -> None:
        """Forget what the Hub has."""
        self._stores += 1
        self.hub.store = Store(self.folder / f"hub-{self._stores}")

    def start(
        self, case: Case, root: Path, name: str, *, fault: Fault | None = None, record: Path | None = None
    ) -> Start:
        """Start a case's command in its folder, wait for its end, and look at what it left."""
        aside = root.parent
        jobs = [
            Job(
                case.command,
                str(root),
                str(aside / f"{name}-{rank}.txt"),
                {"HOME": str(root / "home"), "XDG_CACHE_HOME": str(root / "home")} | _rank(rank, case.ranks),
                fault=str(fault) if fault is not None and fault.rank == rank else "",
                fired=str(aside / "fired"),
                record="" if record is None else f"{record}-{rank}",
            )
            for rank in range(case.ranks)
        ]
        if case.ranks > 1:
            port = {"MASTER_PORT": str(_free_port())}
            jobs = [job._replace(environment=job.environment | port) for job in jobs]
        stopped = fault is not None and fault.kind == "freeze"
        ended = self.server.run(jobs, deadline_s=DEADLINE_S * (3 if stopped else 1))
        said = [Path(job.log).read_text(errors="replace") for job in jobs]
        titles = self.hub.titles(REPO) if REPO in self.hub.store.repos else []
        return Start(ended, said, root, digest(root, titles))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()


class Campaign:
    """All that is made once: the base, and for every case what happens without a fault."""

    def __init__(self, folder: Path, jobs: int, cases: Sequence[str]) -> None:
        self.folder = folder
        self._slots: Queue[Slot] = Queue()
        self._tries, self._count_lock = 0, threading.Lock()
        with contextlib.ExitStack() as opened:
            self._pool = opened.enter_context(ThreadPoolExecutor(jobs))
            for slot in self._pool.map(lambda i: Slot(folder / f"slot-{i}"), range(jobs)):
                self._slots.put(opened.enter_context(slot))
            self._make_base(cases)
            self.references = dict(zip(cases, self._pool.map(self._reference, cases), strict=True))
            self._opened = opened.pop_all()

    def faults(
        self, cases: Sequence[str], count: int, random: Random, kinds: Sequence[str] = tuple(KINDS)
    ) -> list[Fault]:
        """Choose faults, of each case, kind and area in turn."""
        groups: dict[tuple[str, str, str], list[Fault]] = {}
        for case in cases:
            for rank, operations in enumerate(self.references[case].operations):
                for operation, there in operations:
                    for kind, of in ((kind, KINDS[kind]) for kind in kinds):
                        if operation.kind not in of.at or there not in of.there or not _fits(kind, case, operation):
                            continue
                        fault = Fault(case, rank, kind, operation, random.randrange(10**6))
                        groups.setdefault((case, of.name, area(operation.place)), []).append(fault)
        queues = [random.sample(faults, len(faults)) for faults in groups.values()]
        random.shuffle(queues)
        chosen: list[Fault] = []
        while len(chosen) < count and any(queues):
            chosen += [queue.pop() for queue in queues if queue]
        return chosen[:count]

    def tries(self, faults: Sequence[Fault]) -> Iterator[Verdict]:
        """Try faults, several at a time."""
        return self._pool.map(self.try_one, faults)

    def try_one(self, fault: Fault) -> Verdict:
        """Try a fault, start again, and judge."""
        case, reference = CASES[fault.case], self.references[fault.case]
        with self._slot() as (slot, folder):
            root, fired = folder / "case", folder / "fired"
            case.lay(self.folder / "base", root)
            struck = slot.start(case, root, "struck", fault=fault)
            if not fired.exists():
                return Verdict(fault, reached=False)
            again = slot.start(case, root, "again")
            restored = None
            if reference.refuses(again) and (fired / "path").exists():  # its user puts back what was damaged
                _put_back(fired)
                restored = slot.start(case, root, "restored")
            return judge(fault, reference, struck, again, restored)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._opened.close()

    @contextlib.contextmanager
    def _slot(self) -> Iterator[tuple[Slot, Path]]:
        slot = self._slots.get()
        with self._count_lock:
            self._tries += 1
            folder = self.folder / f"try-{self._tries}"
        try:
            folder.mkdir()
            slot.fresh_hub()
            yield slot, folder
        finally:
            if not _KEEP:
                shutil.rmtree(folder, ignore_errors=True)
            self._slots.put(slot)

    def _make_base(self, cases: Sequence[str]) -> None:
        wanted = {"data", *(need for name in cases for need in CASES[name].needs)}
        for name in (name for name in BASE if name in wanted):
            case, line, left = BASE[name]
            with self._slot() as (slot, folder):
                case.lay(self.folder / "base", folder / "case")
                start = slot.start(case, folder / "case", name, fault=Fault.parse(line) if line else None)
                assert (start.status != 0) == bool(line), f"{name}: status {start.status}\n{start.output}"
                shutil.copytree(folder / "case" / left, self.folder / "base" / name)

    def _reference(self, name: str) -> Reference:
        case = CASES[name]
        with self._slot() as (slot, folder):
            root = folder / "case"
            case.lay(self.folder / "base", root)
            first = slot.start(case, root, "first", record=folder / "operations")
            again = slot.start(case, root, "again", record=folder / "later")
            assert first.status == 0, f"{name}: status {first.status}\n{first.output}"
            operations = [_read(folder / f"operations-{rank}") for rank in range(case.ranks)]
            later = [operation for rank in range(case.ranks) for operation, _ in _read(folder / f"later-{rank}")]
            return Reference(first, again, operations, later)


def _fits(kind: str, case: str, operation: Operation) -> bool:
    """Return whether somebody other than the command could do that there, and whether anybody could know."""
    given = CASES[case].needs.values()
    if kind == "freeze":
        return CASES[case].ranks > 1
    if kind == "no-run" or (kind in DAMAGES and operation.place == "run"):
        return operation.place.startswith("run") and "run" not in given  # what lay there before cannot come again
    if kind == "older" and operation.n == 1:
        return False
    if kind in OF_CONTENT and not operation.place.startswith(("run/", "home/", *(f"{name}/" for name in given))):
        return False  # an output that the command never sees again
    return kind not in DAMAGES or not is_draft(operation.place)


def _read(record: Path) -> list[tuple[Operation, str]]:
    rows = (json.loads(line) for line in record.read_text().splitlines())
    return [(Operation(*row[:3]), row[3]) for row in rows]


def _put_back(fired: Path) -> None:
    path = Path((fired / "path").read_text())
    if not (fired / "copy").exists():
        return
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    (fired / "copy").rename(path)


def _rank(rank: int, ranks: int) -> dict[str, str]:
    """Return what `accelerate launch --multi_gpu` tells a process."""
    if ranks == 1:
        return {}
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks}
    switches = {"ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_DYNAMO_BACKEND": "NO", "ACCELERATE_USE_CPU": "true"}
    return {"MASTER_ADDR": "127.0.0.1", **{name: str(value) for name, value in numbers.items()}, **switches}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def campaign(jobs: int, cases: Sequence[str]) -> Iterator[Campaign]:
    """Open a campaign in a temporary folder, which `FAULTS_KEEP` in the environment keeps."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        with Campaign(folder, jobs, cases) as opened:
            yield opened
    finally:
        if _KEEP:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
