import json
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import pytest
from pydantic import BaseModel, Field, field_validator

from tests.refusals import refused
from train.errors import TrainError
from train.stored import STRICT, parse_yaml, read_as, read_yaml


class Part(BaseModel):
    model_config = STRICT
    name: Annotated[str, Field(min_length=1)]
    sizes: tuple[int, ...] = ()


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Whole:
    part: Part
    step: Annotated[int, Field(ge=1)]
    rate: Annotated[float, Field(gt=0, description="a rate above 0")] = 0.5
    kind: Literal["a", "b"] = "a"
    notes: dict[str, list[str] | None] = Field(default_factory=dict)

    @field_validator("notes")
    @classmethod
    def _check(cls, notes: dict[str, list[str] | None]) -> dict[str, list[str] | None]:
        if "bad" in notes:
            raise ValueError("notes holds 'bad'; allowed is anything else")
        return notes


GOOD = {"part": {"name": "x", "sizes": [1, 2]}, "step": 3, "rate": 2, "notes": {"n": None, "m": ["é"]}}

REFUSED = {
    "missing": ({"step": None}, "field 'part' is missing; allowed are exactly kind, notes, part, rate, step"),
    "unknown": (GOOD | {"stp": 1}, "field 'stp' is unknown; allowed are exactly kind, notes, part, rate, step"),
    "missing inside": (GOOD | {"part": {}}, "field 'part.name' is missing"),
    "unknown inside": (GOOD | {"part": {"name": "x", "nam": 1}}, "field 'part.nam' is unknown"),
    "a text for a number": (GOOD | {"step": "3"}, "step is '3'; allowed is an integer"),
    "a part of a number": (GOOD | {"step": 3.5}, "step is 3.5; allowed is an integer"),
    "a truth for a number": (GOOD | {"step": True}, "step is True; allowed is an integer"),
    "out of range": (GOOD | {"step": 0}, "step is 0; allowed is a number from 1 on"),
    "described": (GOOD | {"rate": -1}, "rate is -1; allowed is a rate above 0"),
    "described, of another type": (GOOD | {"rate": [1]}, "rate is [1]; allowed is a rate above 0"),
    "no choice": (GOOD | {"kind": "c"}, "kind is 'c'; allowed is 'a' or 'b'"),
    "no object": (GOOD | {"part": []}, "part is []; allowed is an object"),
    "an entry": (GOOD | {"part": {"name": "x", "sizes": [1, "2"]}}, "part.sizes.1 is '2'; allowed is an integer"),
    "empty": (GOOD | {"part": {"name": ""}}, "part.name is ''; allowed is a string that is not empty"),
    "by a check of its own": (GOOD | {"notes": {"bad": None}}, "notes holds 'bad'; allowed is anything else"),
    "a long value": (GOOD | {"kind": "c" * 10**5}, "ccc... (100002 characters); allowed is"),
}


@pytest.mark.parametrize("ending", ["json", "yaml"])
@pytest.mark.parametrize(("values", "words"), REFUSED.values(), ids=REFUSED)
def test_a_field_that_is_wrong_is_named_with_what_is_allowed(
    tmp_path: Path, values: object, words: str, ending: str
) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_text(json.dumps(values))  # JSON without escapes is YAML
    with pytest.raises(TrainError) as error:
        read_as(Whole, path)
    assert str(error.value).startswith(f"{path}: ")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_both_formats_give_the_same_model(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(GOOD))
    (tmp_path / "a.yml").write_text(
        "part:\n  name: x\n  sizes:\n    - 1\n    - 2\nstep: 3\nrate: 2\nnotes: {n: null, m: [é]}\n", encoding="utf-8"
    )
    expected = Whole(Part(name="x", sizes=(1, 2)), 3, 2.0, "a", {"n": None, "m": ["é"]})
    assert read_as(Whole, tmp_path / "a.json") == read_as(Whole, tmp_path / "a.yml") == expected


BOMB = "a: &a [x]\n" + "\n".join(  # nine lines for a billion entries
    f"{c}: &{c} [{', '.join([f'*{p}'] * 10)}]" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML_REFUSED = {
    "an alias": ("a: &x [1]\nb: *x", "aliases are not read"),
    "aliases of aliases": (BOMB, "aliases are not read"),
    "a key twice": ("a: 1\nb: {c: 1, d: 2, c: 3}", "the key 'c' stands twice"),
    "an object of Python": ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
    "bytes": ("a: !!binary aGVsbG8=", "could not determine a constructor"),
    "an unknown tag": ("a: !new 1", "could not determine a constructor"),
    "no YAML": ("a: [1", "expected"),
    "two documents": ("a: 1\n---\nb: 1", "expected a single document"),
    "too deep": ("a: " + "[" * 100 + "]" * 100, "nested too deeply"),
    "deeper than the stack": ("a: " + "[" * 50_000, "nested too deeply"),
    "too many digits": ("a: " + "9" * 5000, "digits"),
    "too many digits in hexadecimal": ("a: 0x" + "f" * 90, "an integer of more than 20 digits"),
    "not of its tag": ("a: !!bool x", "'x'"),
    "nothing of its tag": ("a: !!int ''", "index out of range"),
    "a list for a key": ("? [1]\n: 2", "unhashable key"),
}


@pytest.mark.parametrize(("text", "words"), YAML_REFUSED.values(), ids=YAML_REFUSED)
def test_yaml_of_more_than_plain_values_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(TrainError) as error:
        read_yaml(path)
    assert str(error.value).startswith(f"{path}: cannot be read as YAML (")
    assert words in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 260
    assert "\n" not in str(error.value)


def test_yaml_of_plain_values_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("")
    assert read_yaml(path) == {}
    path.write_text("- 1")
    refused(lambda: read_yaml(path), "a mapping of keys to values is allowed, not list", by=TrainError)
    assert parse_yaml("{a: 2020-01-01, b: 1e-4, c: 1.0e-4, d: ~, e: off, f: 0x10, 1: x}", name="--set") == {
        **{"a": "2020-01-01", "b": "1e-4", "c": 1e-4, "d": None, "e": False, "f": 16},
        1: "x",
    }
