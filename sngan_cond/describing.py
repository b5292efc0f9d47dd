"""What the `sngan-cond` command says of models, which anybody may have written."""

import json
from typing import Any

from sngan_cond.loading import LoadedModel
from sngan_cond.networks.generator import Generator
from sngan_cond.validation import one_line, printable

LISTED = 8  # class names and metrics in one text
_LONGEST = 400  # characters of one value that `info` shows


def size(G: Generator) -> str:
    """Return the network of a generator, and how large it is."""
    config = G.config
    parameters = sum(parameter.numel() for parameter in G.parameters())
    classes = f"{config.num_classes} classes" if config.num_classes else "no classes"
    return f"{config.architecture}, {config.resolution} px, {classes}, {parameters:,} parameters"


def card(loaded: LoadedModel) -> str:
    """Return a model's card; a model without one is refused."""
    if not loaded.card:
        raise ValueError(f"--card: {plain(loaded.source)} has no README.md")
    return "\n".join(printable(line.expandtabs()) for line in loaded.card.rstrip().splitlines())


def contents(file: str, values: dict[str, Any] | None) -> list[str]:
    """List what a JSON file holds: a line a key, or a line a metric with its protocol and extractor."""
    if values is None:
        return [f"{file}: none"]
    rows = values.get("metrics")
    if isinstance(rows, list):
        return [f"{file}: {len(rows)} metrics", *(f"  {shortened(row)}" for row in rows[:LISTED])]
    return [f"{file}:", *(f"  {plain(key)}: {shortened(value)}" for key, value in values.items())]


def shortened(value: object) -> str:
    """Write a value on one line."""
    if isinstance(value, list) and len(value) > LISTED:
        return f"{shortened(value[:LISTED])} and {len(value) - LISTED:,} more"
    return plain(json.dumps(value, ensure_ascii=False))


def plain(text: str) -> str:
    """Return text that anybody may have written as one short line, without the terminal's control characters."""
    return one_line(printable(one_line(text)), _LONGEST, more="…")
