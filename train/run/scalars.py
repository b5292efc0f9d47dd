"""The log of a run: a JSON object a line, which later starts and figures read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sngan_cond.stored import parse_json

SCALARS_FILE = "scalars.jsonl"


def log_lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Go through the lines of a log, without a last one that has no line break: it is being written, or was cut.

    Yields:
        A line, and what it holds, None where it is damaged; numbers that are not finite are None.
    """
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        try:
            logged = parse_json(line, name="", finite=False)
        except ValueError:
            logged = {}
        yield line, logged if all(isinstance(logged.get(key), int) for key in ("step", "images_seen")) else None
