"""Names of latents, which say from which others a latent came.

    latent = source { "~" FRACTION "~" source }
    source = SEED ":" ROW [ ":" TRUNCATION ] | "(" latent ")"

"7:3" is row 3, counted from 0, of what `draw_latents` draws from seed 7, and "7:3:0.7" is drawn with truncation 0.7.
"7:3~0.2~11:2" lies 0.2 of the way from there towards row 2 of seed 11. Moves are read from left to right.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, NoReturn, TypeVar

from torch import Tensor

from sngan_cond.config import GeneratorConfig
from sngan_cond.latents import check_seed, check_truncation, draw_latents, moved, random_source
from sngan_cond.validation import NUMBER, check_fraction, float32_text, short_repr, whole_number

MAX_NAME = 1000  # characters
MAX_ROW = 1023

_SOURCE = re.compile(rf"(\d{{1,60}}):(\d{{1,60}})(?::({NUMBER}))?", re.ASCII)
_MOVE = re.compile(rf"~({NUMBER})~", re.ASCII)

_T = TypeVar("_T")


class Source(NamedTuple):
    """A latent that is drawn: a row of those of a seed."""

    seed: int
    row: int
    truncation: float | None


def named_latent(config: GeneratorConfig, name: str, argument: str = "latent") -> Tensor:
    """Return the latent of a name.

    Args:
        config: of the generator that it is for.
        argument: what messages call the name.
    Returns:
        (1, latent_dim) float32, on the CPU.
    Raises:
        ValueError: if the name is longer than 1,000 characters, or is none.
    """

    def draw(source: Source) -> Tensor:
        rng, count = random_source(source.seed), source.row + 1
        rows = draw_latents(count, config.latent_dim, rng=rng, truncation=source.truncation, latent=config.latent)
        return rows[source.row :]

    return _read(name, argument, draw, lambda start, t, end: moved(start, end, t, latent=config.latent))


def canonical_name(name: str, argument: str = "latent") -> str:
    """Return the one way in which this module's functions write a name.

    Args:
        name, argument: as in `named_latent`.
    Raises:
        ValueError: as `named_latent` raises it.
    """
    return _read(name, argument, lambda source: source_name(*source), moved_name)


def sources(name: str, argument: str = "latent") -> list[Source]:
    """Return what a name draws, from left to right; arguments and errors as in `named_latent`."""
    return _read(name, argument, lambda source: [source], lambda start, _, end: start + end)


def source_name(seed: int, row: int = 0, truncation: float | None = None) -> str:
    """Return the name of a latent that is drawn.

    Args:
        seed: 0 to 2**63 - 1.
        row: 0 to 1023; which of the latents of the seed.
        truncation: as in `draw_latents`.
    Raises:
        ValueError: if one is out of range.
    """
    threshold = check_truncation(truncation)
    end = "" if threshold is None else f":{repr(threshold).removesuffix('.0').replace('e+', 'e')}"
    return f"{check_seed(seed)}:{whole_number('row', row, 0, MAX_ROW)}{end}"


def moved_name(start: str, fraction: float, end: str) -> str:
    """Return the name of what lies between two latents; at a fraction of 0 or 1 it is that latent itself.

    Args:
        start, end: names.
        fraction: 0 to 1, of the way from start to end; kept as its float32 is.
    Raises:
        ValueError: if the fraction is out of range, or the name longer than 1,000 characters.
    """
    digits = float32_text(check_fraction("fraction", fraction))
    if digits in ("0", "1"):
        return end if digits == "1" else start
    name = f"{start}~{digits}~({end})" if "~" in end else f"{start}~{digits}~{end}"
    return _checked(name, "latent")


def _checked(name: str, argument: str) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{argument}={short_repr(name)}: the name of a latent, such as '7:3', is allowed")
    if len(name) > MAX_NAME:
        raise ValueError(f"{argument}={short_repr(name)}: names of at most {MAX_NAME:,} characters are allowed")
    return name


def _read(name: str, argument: str, drawn: Callable[[Source], _T], move: Callable[[_T, float, _T], _T]) -> _T:
    """Read a name from left to right, whatever a latent is to be; with a stack of its own, so however deep it nests.

    Args:
        drawn: turns a source into a latent.
        move: turns a latent, a fraction and the latent of the end into the one between.
    """
    text = _checked(name, argument)
    at = 0

    def fail(why: object) -> NoReturn:
        raise ValueError(f"{argument}={short_repr(text)}: {why}")

    # For the name and each bracket that is open, the latent so far and the fraction of the way to what comes next.
    waiting: list[tuple[_T, float] | None] = [None]
    while True:
        if text.startswith("(", at):
            waiting.append(None)
            at += 1
            continue
        found = _SOURCE.match(text, at)
        if found is None:
            fail(f"SEED:ROW or SEED:ROW:TRUNCATION is allowed {_place(text, at)}, as in '7:3' or '7:3~0.2~11:2'")
        try:
            latent = drawn(_source(*found.groups()))
        except ValueError as error:
            fail(error)
        at = found.end()
        while True:
            before = waiting.pop()
            latent = latent if before is None else move(before[0], before[1], latent)
            if not (waiting and text.startswith(")", at)):
                break
            at += 1
        if at == len(text) and not waiting:
            return latent
        found = _MOVE.match(text, at)
        if found is None:
            fail(f"~FRACTION~{' or )' if waiting else ''} is allowed {_place(text, at)}, as in '7:3~0.2~11:2'")
        try:
            waiting.append((latent, check_fraction("fraction", float(found[1]))))
        except ValueError as error:
            fail(error)
        at = found.end()


def _source(seed: str, row: str, truncation: str | None) -> Source:
    threshold = check_truncation(None if truncation is None else float(truncation))
    return Source(check_seed(int(seed)), whole_number("row", int(row), 0, MAX_ROW), threshold)


def _place(text: str, at: int) -> str:
    return "at its end" if at == len(text) else f"from its character {at + 1} on"
