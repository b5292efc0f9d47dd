"""One JSON and one Markdown file of a campaign."""

from pathlib import Path
from typing import Any

from benchmarks.gpu.campaign import Row, Value, write_json

Record = dict[str, Any]  # "began", "arguments" and "stages": by name state, limit_s, seconds, tables and why
JSON, MARKDOWN = "campaign.json", "campaign.md"


def write_report(out: Path, record: Record) -> None:
    """Write both files into a folder, over those that are there."""
    write_json(out / JSON, record)
    (out / MARKDOWN).write_text(markdown(record))


def markdown(record: Record) -> str:
    """Return a campaign as Markdown: what ran, then every table, then why what failed did."""
    stages = record["stages"]
    parts = [f"# Campaign of {record['began']}\n\n`{record['arguments']}`"]
    ran: list[Row] = [
        {"stage": name, "state": entry["state"], "seconds": entry["seconds"], "of at most": entry["limit_s"]}
        for name, entry in stages.items()
    ]
    parts.append(_table(ran))
    for entry in stages.values():
        parts += [f"## {title}\n\n{_table(rows)}" for title, rows in entry["tables"].items()]
    parts += [
        f"## {name}: {entry['state']}\n\n```\n{entry['why']}\n```" for name, entry in stages.items() if "why" in entry
    ]
    return "\n\n".join(parts) + "\n"


def _table(rows: list[Row]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    are_numbers = [all(not isinstance(row.get(column), str) for row in rows) for column in columns]
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---:" if n else "---" for n in are_numbers) + " |"]
    lines += ["| " + " | ".join(cell(row.get(column)) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def cell(value: Value) -> str:
    """Return a value as a table shows it: three digits of a number, a dash for what there is not."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value.replace("|", "\\|").replace("\n", " ")
