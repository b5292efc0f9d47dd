"""A score over several sample sets: the mean over the seeds of latents and labels, and how far they lie apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_OF_A_SET = ("seed", "value", "std", "std_over", "classes", "worst_classes", "closest")


def rows_over_sets(sets: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows of a report over several sample sets.

    Args:
        sets: rows of each, alike but for what their seeds decide.
    Returns:
        Rows whose value and standard deviation (with one degree of freedom less than sets) are over the sets, and which
        tell each set's own under `sample_sets`; rows of a single set as they are.
    """
    return list(sets[0]) if len(sets) == 1 else [_over_sets(rows) for rows in zip(*sets, strict=True)]


def _over_sets(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    values = [row["value"] for row in rows]
    return {
        **{key: value for key, value in rows[0].items() if key not in _OF_A_SET},
        "seed": rows[0]["seed"],
        "value": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)),
        "std_over": f"{len(rows)} sample sets",
        "sample_sets": [{key: row[key] for key in _OF_A_SET if key in row} for row in rows],
    }
