"""From a preset's YAML and `--set key=value` to a checked `TrainConfig`; errors name source, key, value and choices."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from sngan_cond.validation import did_you_mean, nearest
from train.config import SHARED_KEYS, TrainConfig
from train.errors import TrainError
from train.presets.index import table_presets

FOLDER = Path(__file__).parent
_ADAPTER = TypeAdapter(TrainConfig)
Sources = dict[tuple[str, ...], str]  # key path to the preset, file or flag that said it, for messages


def preset_names() -> list[str]:
    """List the presets' names: files of this folder without their suffix, and the rows of the papers' tables."""
    return sorted([*(path.stem for path in FOLDER.glob("*.yaml")), *table_presets()])


def preset_name(preset: str) -> str:
    """Return the full name of a preset.

    Args:
        preset: a name from `preset_names`, or the last part of one where no other ends so.
    Raises:
        TrainError: if there is no such preset; the nearest name is given.
    """
    names = preset_names()
    if preset in names:
        return preset
    matches = [name for name in names if name.rsplit("/", 1)[-1] == preset]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise TrainError(f"--preset {preset}: several presets end so: {', '.join(matches)}")
    files = sorted((n for n in names if "/" not in n), key=lambda n: not n.endswith("projection"))  # the main system
    candidates = dict.fromkeys([*files, *names, *(name.rsplit("/", 1)[-1] for name in names)])
    hint = did_you_mean(preset, candidates, f"presets are {', '.join(sorted(files))}")
    raise TrainError(f"--preset {preset}: no such preset; {hint}")


def preset_notes(preset: str) -> tuple[str, ...]:
    """Return what a preset says of itself, a line each: the comments at the head of its file, or its table's words.

    Args:
        preset: as for `load_config`.
    """
    if is_file(preset):
        return _head(Path(preset))
    name = preset_name(preset)
    return table_presets()[name].about if name in table_presets() else _head(FOLDER / f"{name}.yaml")


def is_file(preset: str) -> bool:
    """Return whether a preset is given as a file rather than by name."""
    return preset.endswith((".yaml", ".yml"))


def _head(path: Path) -> tuple[str, ...]:
    lines = path.read_text().splitlines()
    return tuple(line.lstrip("# ") for line in itertools.takewhile(lambda line: line.startswith("#"), lines))


def load_config(preset: str | None, overrides: Iterable[str] = ()) -> TrainConfig:
    """Read a preset, apply overrides and check the whole.

    Args:
        preset: name or path of a preset; None takes the defaults.
        overrides: "key=value" strings, keys dotted, values in YAML.
    Returns:
        The resolved configuration.
    Raises:
        TrainError: naming file (or --set), key path, value and what is allowed.
    """
    values, sources = ({}, {}) if preset is None else _read(preset, extends_allowed=True)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise TrainError(f"--set {override}: key=value is allowed, for example --set batch_total=64")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise TrainError(f"--set {override}: the value is not YAML ({_one_line(error)})") from error
        _merge(values, _nest(key.split("."), value), sources, "--set", ())
    return parse_config(values, sources)


def parse_config(values: dict[str, Any], sources: Mapping[tuple[str, ...], str] | None = None) -> TrainConfig:
    """Check plain values and build the configuration.

    Args:
        values: nested mapping of what differs from the defaults.
        sources: key path to the file or flag it came from, for messages.
    Returns:
        The resolved configuration.
    Raises:
        TrainError: on an unknown key, a wrong type or a value out of range.
    """
    sources = sources or {}
    _check_keys(TrainConfig, values, (), sources)
    try:
        return _ADAPTER.validate_python(_share(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = tuple(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if "ctx" in first and isinstance(first["ctx"].get("error"), ValueError):
            where = f"{_source(sources, path)}{'.'.join(path)}: " if path else ""
            raise TrainError(f"{where}{message}") from error
        raise TrainError(f"{_source(sources, path)}{'.'.join(path)}={first['input']!r}: {message}") from error


def config_to_dict(config: TrainConfig) -> dict[str, Any]:
    """Return the resolved configuration as plain values, the shared keys said once at the top."""
    plain = _plain(dataclasses.asdict(config))
    for section in ("generator", "discriminator"):
        for key in SHARED_KEYS:
            del plain[section][key]
    return plain


def config_to_yaml(config: TrainConfig) -> str:
    """Return the resolved configuration as YAML that `load_config` reads back."""
    return yaml.safe_dump(config_to_dict(config), sort_keys=False, width=120)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _read(preset: str, *, extends_allowed: bool) -> tuple[dict[str, Any], Sources]:
    """Read a file or a row of a table, over what it extends."""
    merged: dict[str, Any] = {}
    sources: Sources = {}
    path = Path(preset) if is_file(preset) else None
    if path is None:
        name = preset_name(preset)
        if name in table_presets():
            _merge(merged, table_presets()[name].values, sources, f"preset {name}", ())
            return merged, sources
        path = FOLDER / f"{name}.yaml"
    elif not path.is_file():
        raise TrainError(f"--preset {preset}: no such file")
    values = _read_file(path)
    parent = values.pop("extends", None)
    if parent is not None:
        if not extends_allowed:
            raise TrainError(f"{path}: extends={parent!r} in a preset that is extended itself; one level is allowed")
        merged, sources = _read(str(parent), extends_allowed=False)
    _merge(merged, values, sources, str(path), ())
    return merged, sources


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainError(f"{path}: cannot be read as YAML ({_one_line(error)})") from error
    if not isinstance(values, dict):
        raise TrainError(f"{path}: a mapping of keys to values is allowed, not {type(values).__name__}")
    return values


def _nest(keys: list[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return value  # type: ignore[no-any-return]


def _merge(into: dict[str, Any], values: dict[str, Any], sources: Sources, source: str, at: tuple[str, ...]) -> None:
    for key, value in values.items():
        path = (*at, str(key))
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value, sources, source, path)
        elif isinstance(value, dict):
            into[key] = {}
            _merge(into[key], value, sources, source, path)
        else:
            into[key] = value
        sources[path] = source


def _source(sources: Mapping[tuple[str, ...], str], path: tuple[str, ...]) -> str:
    while path:
        if path in sources:
            return f"{sources[path]} " if sources[path] == "--set" else f"{sources[path]}: "
        path = path[:-1]
    return ""


def _check_keys(
    cls: type, values: Mapping[str, Any], at: tuple[str, ...], sources: Mapping[tuple[str, ...], str]
) -> None:
    hints = get_type_hints(cls)
    for key, value in values.items():
        path = (*at, str(key))
        if key not in hints:
            near = nearest(str(key), hints)
            hint = f"did you mean {'.'.join((*at, near))}?" if near else f"keys here are {', '.join(hints)}"
            raise TrainError(f"{_source(sources, path)}{'.'.join(path)}: no such key; {hint}")
        section = _section(hints[key])
        if section is not None:
            if not isinstance(value, Mapping):
                raise TrainError(f"{_source(sources, path)}{'.'.join(path)}={value!r}: a mapping of keys is allowed")
            _check_keys(section, value, path, sources)


def _section(hint: Any) -> type | None:
    found = [option for option in (hint, *get_args(hint)) if dataclasses.is_dataclass(option)]
    return found[0] if found and isinstance(found[0], type) and found[0] is hint else None


def _share(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy resolution, num_classes and architecture from the top into both networks."""
    shared = {key: values.get(key, getattr(TrainConfig, key)) for key in SHARED_KEYS}
    full = dict(values)
    for section in ("generator", "discriminator"):
        own = dict(full.get(section, {}))
        for key in SHARED_KEYS:
            if key in own and own[key] != shared[key]:
                raise TrainError(
                    f"{section}.{key}={own[key]!r}: say {key} once, at the top; there it is {shared[key]!r}"
                )
        full[section] = {**shared, **own}
    return full


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
