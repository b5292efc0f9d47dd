"""`python -m train.reproduction.write`: write the presets of every table and their index from the rows."""

import sys
from pathlib import Path

import yaml

from train.presets import PRESETS
from train.reproduction.rows import Base, Row, Table, Values
from train.reproduction.tables import TABLES

README = "README.md"
_WIDTH = 120


def _differences(values: Values, base: Values) -> Values:
    """Drop what a base says already."""
    kept: Values = {}
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            inner = _differences(value, base[key])
            if inner:
                kept[key] = inner
        elif key not in base or base[key] != value:
            kept[key] = value
    return kept


def _body(values: Values) -> str:
    lines = []
    for key, value in values.items():
        text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000).strip()
        lines.append(f"{key}: {text.removesuffix('...').strip()}")
    return "".join(f"{line}\n" for line in lines)


def _comment(**entries: str) -> str:
    """Lay out "# Word:     text" lines, folded at the width of a line."""
    lines = []
    for word, text in entries.items():
        if not text:
            continue
        line = f"# {word + ':':<10}"
        if word in ("Data", "Run"):  # commands stay on one line, to be copied
            lines.append(f"{line}{text}")
            continue
        for part in text.split():
            if len(line) + 1 + len(part) > _WIDTH:
                lines.append(line)
                line = "# " + " " * 10
            line += ("" if line.endswith(" ") else " ") + part
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _base_text(base: Base, table: Table) -> str:
    head = _comment(
        Paper=table.citation, Source=base.source, Data=f"python -m train.prepare {base.data} --out {base.data_path}"
    )
    return f"# {base.title}; extended by the rows, no row itself.\n{head}{_body(base.values)}"


def _reported(row: Row) -> str:
    return ", ".join(f"{metric} {score or 'only drawn'}" for metric, score in row.reported.items())


def _row_text(row: Row, table: Table) -> str:
    assert row.base is not None
    preset = table.preset(row)
    head = _comment(
        Paper=table.citation,
        Table=table.title,
        Row=row.label,
        Reported=_reported(row),
        Open=row.note,
        Data=f"python -m train.prepare {row.base.data} --out {row.base.data_path}",
        Run=f"accelerate launch -m train --preset {preset} --run-dir runs/{preset}",
    )
    return f"{head}extends: {table.paper}/{row.base.name}\n{_body(_differences(row.values, row.base.values))}"


def _index(tables: tuple[Table, ...]) -> str:
    lines = [
        "# Presets",
        "",
        "Presets in this folder are runs of their own; those in the sub-folders are the rows of the papers' tables",
        "and the curves of their figures. Those, and this page, are written by",
        "`python -m train.reproduction.write`: change the rows in `train/reproduction/`, not the files.",
        "`python -m train.reproduce --list` says what each costs here. Scores are the papers' own, under their",
        "Inception network and protocol.",
    ]
    for table in tables:
        lines += ["", f"## {table.key}", "", f"{table.citation}.", f"{table.title}."]
        if table.also:
            lines.append(f"Also: {', '.join(table.also)}.")
        lines += ["", f"| row | {' | '.join(table.metrics)} | preset |", "| --- " * (len(table.metrics) + 2) + "|"]
        for row in table.rows:
            scores = [row.reported.get(metric, "-") or "drawn" for metric in table.metrics]
            link = f"[`{table.preset(row)}`]({table.preset(row)}.yaml)" if row.base else f"none: {row.absent}"
            lines.append(f"| {row.label} | {' | '.join(scores)} | {link} |")
    return "\n".join(lines) + "\n"


def files() -> dict[str, str]:
    """Return every file that is written, by its path below `train/presets`."""
    written = {README: _index(TABLES)}
    for table in TABLES:
        for row in table.rows:
            if row.base is not None:
                written[f"{table.paper}/{row.base.name}.yaml"] = _base_text(row.base, table)
                written[f"{table.preset(row)}.yaml"] = _row_text(row, table)
    return written


def main() -> int:
    """Write the files, and remove presets below the papers' folders that are no rows any more."""
    wanted = files()
    for paper in {table.paper for table in TABLES}:
        for path in (PRESETS / paper).rglob("*.yaml"):
            if path.relative_to(PRESETS).as_posix() not in wanted:
                path.unlink()
    for name, text in wanted.items():
        path = PRESETS / Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f"{len(wanted) - 1} presets in {PRESETS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
