"""A few faults of every kind in every area, and the oracle itself."""

import sys
from pathlib import Path
from random import Random

import pytest

from tests.faults.campaign import Campaign
from tests.faults.kinds import KINDS, Fault
from tests.faults.operations import Operation, area
from tests.faults.oracle import Reference, Start, judge
from tests.faults.server import Ended

CASES = ("go-on", "two")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="files are told by their descriptors in /proc")
def test_faults_of_every_kind_in_every_area_are_survived(tmp_path: Path) -> None:
    """`make test-faults` tries hundreds; its line repeats one: `python -m tests.faults --repeat LINE`."""
    with Campaign(tmp_path, jobs=1, cases=CASES) as campaign:
        one = campaign.faults(CASES[:1], 10**6, Random(18))
        two = campaign.faults(CASES[1:], 10**6, Random(18), ["kill-after", "EIO", "freeze"])
        verdicts = list(campaign.tries([*_spread(one), *_spread(two)[:2]]))
    assert len(verdicts) > 15
    wrong = [f"{v.fault}: {what}" for v in verdicts for what in v.wrong]
    assert not wrong, "\n".join(wrong)
    assert sum(v.reached for v in verdicts) > 0.8 * len(verdicts)  # threads may ask the disk once more or less


def _spread(faults: list[Fault]) -> list[Fault]:
    """Take few faults that are of every kind and in every area: first those that are new in both."""
    chosen: list[Fault] = []
    seen: set[str] = set()
    for new in (2, 1):
        for fault in faults:
            features = {KINDS[fault.kind].name, area(fault.operation.place)}
            if len(features - seen) >= new:
                chosen.append(fault)
                seen |= features
    return chosen


WRITE = Operation("write", "run/scalars.jsonl", 3)


def start(root: Path, *, status: int = 0, said: str = "", **files: str) -> Start:
    """What a run of one process would have left."""
    return Start([Ended(status, False, 1.0, 0.5)], [said], root, {"config": "same", **files})


@pytest.mark.parametrize(
    ("kind", "struck", "again", "wrong"),
    [
        ("EIO", {}, {}, ""),
        ("EIO", {"status": 2, "said": "error: run/scalars.jsonl: Input/output error"}, {}, ""),
        ("kill-after", {"status": -9, "weights": "old"}, {}, ""),
        ("EIO", {"weights": "other"}, {}, "silent: weights: "),
        ("EIO", {"status": 1, "said": "Traceback (most recent call last):\nOSError"}, {}, "ends with status 1"),
        ("EIO", {"status": 2}, {}, "0 lines of errors"),
        ("EIO", {"said": "warning: lost\nwarning: lost"}, {}, "said 2 times: warning: lost"),
        ("kill-after", {"status": -9}, {"weights": "other"}, "not as without the fault: weights: "),
        (
            "kill-after",
            {"status": -9},
            {"status": 2, "said": "error: no"},
            "started again: ends with status 2: error: no",
        ),
        ("kill-after", {"status": -9}, {"draft": "left"}, "not as without the fault: draft: "),
    ],
)
def test_the_oracle_finds(tmp_path: Path, kind: str, struck: dict, again: dict, wrong: str) -> None:
    whole = {"weights": "new"}
    usual = start(tmp_path, **whole)
    reference = Reference(usual, usual, [[(WRITE, "file")]], [])
    starts = (start(tmp_path, **whole | change) for change in (struck, again))
    found = judge(Fault("train", 0, kind, WRITE, 0), reference, *starts, None).wrong
    assert any(line.startswith(wrong) for line in found) if wrong else not found


def test_a_fault_is_repeated_by_its_line() -> None:
    place = "run/checkpoints/.partial-step-00000002"
    fault = Fault("go-on", 1, "kill-after", Operation("rename", place, 12), 7)
    assert str(fault) == f"go-on/1/kill-after:rename {place}:12:7"
    assert Fault.parse(str(fault)) == fault
