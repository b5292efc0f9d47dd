"""Files that the product or somebody else has written, read into a model of pydantic: JSON, or YAML by its ending."""

import json
from collections import Counter
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from sngan_cond.stored import check_tree, read_json, read_text
from sngan_cond.validation import one_line, short_repr
from train.errors import TrainError

T = TypeVar("T")

MAX_YAML_BYTES = 2**20  # the parser reads a tenth of it in a second, or more
MAX_NUMBER = 100  # digits of a number
STRICT = ConfigDict(extra="forbid", strict=True)  # of the models: a number is no text, a list no number

_MISFITS = {"missing": "missing", "extra_forbidden": "unknown", "unexpected_keyword_argument": "unknown"}
# What pydantic calls a fault, and what the reader of the message is told is allowed.
_ALLOWED = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "dataclass_type": "an object",
    "float_type": "a number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number from {ge} on",
    "int_type": "an integer",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number up to {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_type": "an object",
    "string_pattern_mismatch": "a string like {pattern}",
    "string_too_short": "a string that is not empty",
    "string_type": "a string",
    "too_short": "a list of at least {min_length}",
    "tuple_type": "a list",
}


def read_as(model: type[T], path: Path, *, error: type[ValueError] = TrainError, name: object = None) -> T:
    """Read a JSON file, or a YAML file by its ending, into a model.

    Args:
        model: a dataclass or model of pydantic, made with `STRICT`, or a type such as `dict[str, int]`. A field's
            description says what is allowed there.
        error: what is raised.
        name: what its message begins with; None takes the path.
    Raises:
        ValueError: the given kind of it, in one line that names file, field, value and what is allowed.
    """
    read = read_yaml if path.suffix in (".yaml", ".yml") else read_json
    return check_as(model, read(path, error=error, name=name), error=error, name=path if name is None else name)


def check_as(model: type[T], values: Mapping[str, Any], *, error: type[ValueError] = TrainError, name: object) -> T:
    """Build a model of plain values; arguments and errors are those of `read_as`."""
    try:  # by way of JSON, for only there does pydantic's strictness take a list for a tuple and an object for a model
        return TypeAdapter(model).validate_json(json.dumps(values))
    except ValidationError as reason:
        first = reason.errors(include_url=False)[0]
        known = getattr(model, "__pydantic_fields__", {})  # of dataclasses and models alike; a plain type has none
        field = one_line(".".join(str(part) for part in first["loc"]), 100, more="…")
        if kind := _MISFITS.get(first["type"]):
            listed = f"; allowed are exactly {', '.join(sorted(known))}" if len(first["loc"]) == 1 else ""
            raise error(f"{name}: field {field!r} is {kind}{listed}") from reason
        if first["type"] == "value_error":  # one of ours, whose words name the value already
            raise error(f"{name}: {one_line(first['ctx']['error'], 400, more='…')}") from reason
        value, described = first["input"], getattr(known.get(first["loc"][0]), "description", None)
        if described:  # of the whole field, whichever entry or kind of it is wrong
            field = str(first["loc"][0])
            value = values[field]
        ours = _ALLOWED.get(first["type"], "").format(**first.get("ctx", {}))
        allowed = described or ours or first["msg"]
        raise error(f"{name}: {field} is {short_repr(value)}; allowed is {allowed}") from reason


def read_yaml(path: Path, *, error: type[ValueError] = TrainError, name: object = None) -> dict[str, Any]:
    """Read a mapping from a YAML file; an empty file is an empty mapping.

    Raises:
        ValueError: the given kind of it, as `read_text` and `parse_yaml` do, and if the file holds no mapping.
    """
    text = read_text(path, "YAML", error=error, name=name, limit=MAX_YAML_BYTES)
    name = path if name is None else name
    values = parse_yaml(text, error=error, name=f"{name}: cannot be read as YAML")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise error(f"{name}: a mapping of keys to values is allowed, not {type(values).__name__}")
    return values


def parse_yaml(text: str, *, error: type[ValueError] = TrainError, name: str) -> Any:
    """Parse YAML of plain values, without aliases and repeated keys.

    Args:
        text: one document.
        error: what is raised.
        name: what its message begins with; the reason follows in brackets.
    """
    try:
        values = yaml.load(text, _Loader)  # a safe loader, and stricter
        check_tree(values)
        return values
    except RecursionError as reason:
        raise error(f"{name} (nested too deeply)") from reason
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError) as reason:  # the last of what is not of its tag
        raise error(f"{name} ({one_line(reason, 200)})") from reason


class _Loader(yaml.SafeLoader):
    """Plain values alone: an alias can grow a short file to gigabytes, and of two equal keys one would be lost."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag in _NUMBERS and len(node.value) > MAX_NUMBER:  # 1:59:59:59... is a number too, and takes its time
            problem = f"a number of more than {MAX_NUMBER} digits"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return super().construct_scalar(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        values = super().construct_mapping(node, deep=deep)
        if len(values) < len(node.value):
            (repeated, _), *_ = Counter(self.construct_object(key) for key, _ in node.value).most_common(1)
            raise yaml.MarkedYAMLError(problem=f"the key {repeated!r} stands twice", problem_mark=node.start_mark)
        return values


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")
_Loader.yaml_constructors = {
    tag: build
    for tag, build in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in _PLAIN
}
# 2020-01-01 is a text, as it is in JSON.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
