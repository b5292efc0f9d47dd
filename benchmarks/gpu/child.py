"""One stage in this process: `python -m benchmarks.gpu.child MODULE:FUNCTION CAMPAIGN ROWS`, two files of JSON.

Rows are written as they come, so that a stage that is killed keeps what it had.
"""

import importlib
import sys
from pathlib import Path

from benchmarks.gpu.campaign import Campaign, Tables, write_json
from benchmarks.gpu.report import cell


def main(function: str, told: Path, found: Path) -> None:
    """Run a stage to its end.

    Args:
        told: file of the `Campaign`.
        found: file of its tables, written anew with each row.
    """
    module, name = function.split(":")
    run = getattr(importlib.import_module(module), name)
    tables: Tables = {}
    for title, row in run(Campaign.read(told)):
        tables.setdefault(title, []).append(row)
        write_json(found, tables)
        print(f"{title}: " + ", ".join(f"{column} {cell(value)}" for column, value in row.items()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
