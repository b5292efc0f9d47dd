"""Several `metrics.json` side by side; scores measured differently never share a column."""

import json
from pathlib import Path
from typing import Any

from sngan_cond.stored import read_json
from train.errors import EvaluationError
from train.evaluation.report import number

_ROW_KEYS = ("protocol", "extractor", "extractor_sha256", "real_count", "fake_count", "settings")
_TYPES: dict[str, Any] = {
    "name": str,
    "value": int | float,
    "std": int | float | None,
    "extractor_sha256": str | None,
    "real_count": int,
    "fake_count": int,
    "settings": dict,
}


def compare(paths: list[Path]) -> str:
    """Return a Markdown table with one row per file and one column per score, and below it each column's conditions.

    Raises:
        EvaluationError: if a file is no metrics.json, or two files measured a score under different conditions.
    """
    results = [(path, _read(path)) for path in paths]
    conditions: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path, result in results:
        for row in result["metrics"]:
            found = _conditions(result, row)
            first_path, first = conditions.setdefault(row["name"], (path, found))
            for key in first:
                if found[key] != first[key]:
                    raise EvaluationError(
                        f"--compare: {row['name']} has {key} {_short(first[key])} in {first_path} and "
                        f"{_short(found[key])} in {path}; only scores measured alike are put in one column"
                    )
    names = list(conditions)
    lines = [_line(["file", *names]), _line(["---", *(["---:"] * len(names))])]
    for path, result in results:
        values = {row["name"]: number(row) for row in result["metrics"]}
        lines.append(_line([str(path), *(values.get(name, "") for name in names)]))
    lines.append("")
    for name, (_, found) in conditions.items():
        digest = found["extractor_sha256"]
        lines.append(
            f"{name}: protocol {found['protocol']}, {found['fake_count']:,} generated, {found['real_count']:,} real, "
            f"extractor {found['extractor']}" + (f" ({digest[:8]})" if digest else "")
        )
    return "\n".join(lines)


def _read(path: Path) -> dict[str, Any]:
    result: Any = read_json(path, object, error=EvaluationError, name=f"--compare {path}")
    rows = result.get("metrics") if isinstance(result, dict) else None
    is_table = isinstance(rows, list) and all(_is_row(row) for row in rows)
    if not is_table or not isinstance(result.get("dataset"), dict | None):
        raise EvaluationError(f"--compare {path}: not a metrics.json of train.evaluate")
    return result


def _is_row(row: object) -> bool:
    return (
        isinstance(row, dict)
        and {"name", "value", *_ROW_KEYS} <= row.keys()
        and all(isinstance(row.get(key), kind) for key, kind in _TYPES.items())
    )


def _conditions(result: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    dataset = result.get("dataset") or {}
    return {
        **{key: row[key] for key in _ROW_KEYS},
        # What a deviation is over decides no value; files stored earlier say it here, of scores within classes.
        "settings": {key: value for key, value in row["settings"].items() if key != "std_over"},
        "dataset sha256": dataset.get("sha256"),
        "truncation": result.get("truncation"),
    }


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return repr(text) if len(text) <= 80 else repr(text[:77] + "...")


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
