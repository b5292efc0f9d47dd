"""A bounded part of the campaign, and everything that was found before, read again."""

import math

import pytest

from tests.faults.fuzz.__main__ import main
from tests.faults.fuzz.engine import Fuzzer, Reader, bounded_memory, corpus, watched, work_folder
from tests.faults.fuzz.registry import READERS

EXECUTIONS = 2_500  # of all readers
_SHARES = sum(reader.share for reader in READERS.values())


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_what_anybody_may_have_written_is_read_or_refused_in_one_line(reader: Reader) -> None:
    with work_folder() as root, watched(), bounded_memory():
        fuzzer = Fuzzer(reader, root / "reader")
        ends = {path.name: fuzzer.run(path.read_bytes()) for path in corpus(reader)}
        assert {name: end for name, end in ends.items() if end not in ("accepted", "refused")} == {}
        tally = fuzzer.campaign(0, range(math.ceil(EXECUTIONS * reader.share / _SHARES)))
    assert tally.findings == []
    assert tally.percent > 30  # of its own lines: it is read at all


def test_the_fuzzer_finds_what_is_wrong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And repeats it by its line: an error that is none of the documented ones, one of two lines, time, and memory."""

    def wrong(_: object, data: bytes) -> object:
        kept = [data]
        if b"n" in data:
            raise KeyError(data)
        if len(data) > 300:
            raise ValueError("two\nlines")
        if data.startswith(b"{") and len(data) < 20:
            kept.append(bytearray(1 << 31))
        return kept

    reader = Reader("wrong", lambda _: [b'{"a": 1}'], wrong, (ValueError,), (wrong,), share=1)
    monkeypatch.setitem(READERS, "wrong", Reader("wrong", lambda _: [b"a" * 30], wrong, (ValueError,), (wrong,)))
    assert main(["--reader", "wrong", "--executions", "300"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "python -m" in line]
    assert any("KeyError" in line for line in lines)
    assert any("1 line breaks" in line for line in lines)
    number = next(line for line in lines if "KeyError" in line).partition("--number ")[2].partition(":")[0]
    assert main(["--reader", "wrong", "--number", number]) == 1
    assert "KeyError" in capsys.readouterr().out
    with work_folder() as root, watched(), bounded_memory(1 << 30), pytest.raises(AssertionError, match="MemoryError"):
        Fuzzer(reader, root / "reader")
