import json
from pathlib import Path

import pytest

from sngan_cond.stored import MAX_DEPTH, parse_json, read_json, read_text
from tests.refusals import refused


class MistakeError(ValueError):
    pass


REFUSED = {
    "cut": ("{", "cannot be read as JSON (Expecting"),
    "empty": ("", "cannot be read as JSON (Expecting value"),
    "another type": ("[1]", "a JSON object is expected, there is a list"),
    "too many digits": (f'{{"a": {"9" * 21}}}', "an integer of more than 20 digits"),
    "digits past Python's own limit": (f'{{"a": -{"9" * 5000}}}', "Exceeds the limit (4300 digits)"),
    "too large for a float": ('{"a": 1e999}', "1e999 is no finite number"),
    "not a number": ('{"a": NaN}', "NaN is no finite number"),
    "infinite": ('{"a": [-Infinity]}', "-Infinity is no finite number"),
    "a key twice": ('{"b": {"a": 1, "c": 2, "a": 1}}', "the key 'a' stands twice"),
    "half a character": (r'{"a": ["\ud800"]}', "half of a surrogate pair"),
    "half a character in a key": (r'{"\udc00": 1}', "half of a surrogate pair"),
    "one level too deep": ('{"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", "nested too deeply"),
    "deeper than the stack": ("[" * 200_000, "nested too deeply"),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_named_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(MistakeError) as error:
        read_json(path, error=MistakeError)
    assert str(error.value).startswith(f"{path}: ")
    assert words in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 160
    assert "\n" not in str(error.value)


def test_everything_below_the_limits_is_read(tmp_path: Path) -> None:
    deep: object = [9999999999999999999, -1.5, None, True, "bee é"]
    for _ in range(MAX_DEPTH - 3):
        deep = [deep]
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": deep}).encode())  # with a byte order mark, as Notepad writes
    assert read_json(path) == {"a": deep}
    assert parse_json("[1, 2]", list, name="x") == [1, 2]
    assert parse_json("null", object, name="x") is None
    assert parse_json('{"a": NaN, "b": -Infinity, "c": 1e999}', name="x", finite=False) == dict.fromkeys("abc")


def test_size_encoding_and_absence_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    refused(lambda: read_json(path, name="--file a"), "--file a: cannot be read as JSON (No such file")
    path.write_bytes(b'{"a": "\xff"}')
    refused(lambda: read_json(path), "cannot be read as JSON", "codec can't decode byte 0xff")
    refused(lambda: read_text(path, "JSON", error=ValueError, limit=9), "10 bytes, at most 9 are read")
    refused(lambda: read_json(tmp_path), "cannot be read as JSON")
