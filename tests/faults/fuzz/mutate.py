"""Damage: random changes of bytes, of text and of JSON's trees, all drawn from one random source."""

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

Mutator = Callable[[random.Random, Sequence[bytes], Sequence[bytes]], bytes]  # of a source, seeds and tokens

LONGEST = 1 << 18  # bytes of a mutated input
_NUMBERS = (
    0,
    1,
    2,
    7,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**40,
    2**63 - 1,
    2**64 - 1,
)
_TEXTS = (
    *(
        "",
        " ",
        "\n",
        "\t",
        "\0",
        "\r\n",
        "\x1b[31m",
        "\ufeff",
        "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"),
    ),
    *(
        "é",
        "e\u0301",
        "ß",
        "İ",
        "\u202e",
        "\U0001f40d",
        "٣",
        "½",
        "²",
        "_",
        "-",
        "--",
        "..",
        "../",
        "/",
        "\\",
        "~",
        "*",
        "+",
    ),
    *(
        "0",
        "-1",
        "1",
        "2",
        "1.5",
        "1e308",
        "1e999",
        "-0.0",
        "NaN",
        "nan",
        "inf",
        "Infinity",
        "0x10",
        "1_000",
        "1:59:59",
    ),
    *(
        "9" * 19,
        "9" * 21,
        "9" * 400,
        "true",
        "null",
        "None",
        "[]",
        "{}",
        "[[",
        "{{",
        '"',
        "'",
        "`",
        ",",
        ":",
        ";",
        "=",
        "&",
    ),
    *(
        "%00",
        "%ff",
        "%s",
        "{0}",
        "${x}",
        "<b>",
        "#",
        "!!",
        "!!int",
        "&a",
        "*a",
        "<<",
        "? ",
        "- ",
        "| ",
        "> ",
        "---",
        "...",
    ),
)
_WORDS = re.compile(r"\w+|\s+|.", re.DOTALL)


def mutate_bytes(rng: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
    """Change one of the seeds as one would who knows nothing of its format but some of its words."""
    data = bytearray(rng.choice(seeds))
    for _ in range(_times(rng)):
        at = rng.randrange(len(data) + 1)
        span = min(1 << rng.randrange(12), len(data))
        kind = rng.randrange(10)
        if kind == 0 and data:
            at %= len(data)
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 2:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice(_NUMBERS) + rng.randrange(-1, 2)
            data[at : at + size] = (number % 256**size).to_bytes(size, rng.choice(("little", "big")))
        elif kind == 3:
            del data[at : at + span]
        elif kind == 4:
            del data[at:]
        elif kind == 5:
            data[at:at] = rng.randbytes(min(span, 64))
        elif kind == 6:
            start = rng.randrange(len(data) + 1)
            data[at:at] = data[start : start + span]
        elif kind == 7:
            other = rng.choice(seeds)
            start = rng.randrange(len(other) + 1)
            data[at:] = other[start:] if rng.random() < 0.5 else other[start : start + span] + bytes(data[at:])
        elif kind == 8 and tokens:
            data[at : at + rng.choice((0, 0, 4))] = rng.choice(tokens)
        elif kind == 9:
            piece = bytes(data[at : at + min(span, 8)]) or b"["
            data[at:at] = piece * (1 << rng.randrange(15))
        del data[LONGEST:]
    return bytes(data)


def mutate_text(rng: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
    """Change words of one of the seeds, which are texts in UTF-8; sometimes bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(rng, seeds, tokens)
    words = _WORDS.findall(rng.choice(seeds).decode("utf-8", "replace"))
    for _ in range(_times(rng)):
        at, kind = rng.randrange(len(words) + 1), rng.randrange(7)
        if kind == 0:
            words[at : at + 1] = [_text(rng, tokens)]
        elif kind == 1:
            words[at:at] = [_text(rng, tokens)]
        elif kind == 2:
            del words[at : at + rng.randrange(1, 4)]
        elif kind == 3:
            start = rng.randrange(len(words) + 1)
            words[at:at] = words[start : start + rng.randrange(1, 30)]
        elif kind == 4:
            other = _WORDS.findall(rng.choice(seeds).decode("utf-8", "replace"))
            start = rng.randrange(len(other) + 1)
            words[at:] = other[start:]
        elif kind == 5 and words:
            word = words[at % len(words)]
            words[at % len(words)] = rng.choice((word.upper(), word[::-1], word[:-1], word * 2, word + "0", " " + word))
        elif kind == 6:
            piece = "".join(words[at : at + 2]) or "["
            words[at:at] = [piece * min(1 << rng.randrange(13), 1 + LONGEST // len(piece))]
    return "".join(words).encode("utf-8", "replace")[:LONGEST]


def mutate_json(rng: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
    """Change the tree of one of the seeds, which are JSON; sometimes its text or bytes."""
    if rng.random() < 0.25:
        return mutate_text(rng, seeds, tokens)
    try:
        tree = json.loads(rng.choice(seeds))
    except (ValueError, RecursionError):
        return mutate_text(rng, seeds, tokens)
    for _ in range(_times(rng)):
        tree = _changed(rng, tree, tokens)
    return json.dumps(tree, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")[:LONGEST]


def mutate_lines(rng: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
    """Change lines, each of them JSON: their order and number, and single ones."""
    lines = rng.choice(seeds).split(b"\n")
    for _ in range(_times(rng)):
        at = rng.randrange(len(lines))
        kind = rng.randrange(4)
        if kind == 0:
            lines[at] = mutate_json(rng, [lines[at]], tokens)
        elif kind == 1:
            lines.insert(at, rng.choice(lines))
        elif kind == 2 and len(lines) > 1:
            del lines[at]
        else:
            lines[at] = mutate_text(rng, [lines[at]], tokens)
    return b"\n".join(lines)[:LONGEST]


def value(rng: random.Random, tokens: Sequence[bytes] = ()) -> Any:
    """Draw a value that JSON can hold."""
    kind = rng.randrange(9)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind == 1:
        return rng.choice((-1, 0, 1, 2, 3, 64, 10**5, 2**31, 2**53, 2**63, 10**20, 10**25, -(2**63)))
    if kind == 2:
        return rng.choice((0.0, -0.0, 0.5, 1.0, 1.5, -1.5, 1e-300, 1e308, float("nan"), float("inf"), -float("inf")))
    if kind in (3, 4):
        return _text(rng, tokens)
    if kind == 5:
        return [value(rng, tokens) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {_text(rng, tokens): value(rng, tokens) for _ in range(rng.randrange(3))}
    if kind == 7:
        inner: Any = rng.choice((0, "x", []))
        for _ in range(rng.choice((1, 2, 10, 70, 500))):
            inner = [inner] if rng.random() < 0.5 else {"a": inner}
        return inner
    return _text(rng, tokens) * (1 << rng.randrange(12))


def _changed(rng: random.Random, tree: Any, tokens: Sequence[bytes]) -> Any:
    """Return a tree with one place changed, the deeper the rarer."""
    if isinstance(tree, dict) and tree and rng.random() < 0.85:
        key = rng.choice(list(tree))
        kind = rng.random()
        if kind < 0.12:
            return {name: inner for name, inner in tree.items() if name != key}
        if kind < 0.24:
            return {_text(rng, tokens) if name == key else name: inner for name, inner in tree.items()}
        if kind < 0.32:
            return tree | {_text(rng, tokens): rng.choice(list(tree.values()))}
        return tree | {key: _changed(rng, tree[key], tokens)}
    if isinstance(tree, list) and tree and rng.random() < 0.85:
        at, kind = rng.randrange(len(tree)), rng.random()
        if kind < 0.15:
            return tree[:at] + tree[at + 1 :]
        if kind < 0.3:
            return tree[:at] + [tree[at]] * rng.choice((2, 2, 3, 20)) + tree[at:]
        return [*tree[:at], _changed(rng, tree[at], tokens), *tree[at + 1 :]]
    if isinstance(tree, str) and rng.random() < 0.5:
        return mutate_text(rng, [tree.encode("utf-8", "replace")], tokens).decode("utf-8", "replace")
    if isinstance(tree, int | float) and not isinstance(tree, bool) and rng.random() < 0.6:
        return rng.choice((-tree, tree + 1, tree - 1, tree * 2, tree * 10**6, tree + 0.5, str(tree), [tree]))
    return value(rng, tokens)


def _text(rng: random.Random, tokens: Sequence[bytes]) -> str:
    if tokens and rng.random() < 0.6:
        return rng.choice(tokens).decode("utf-8", "replace")
    return rng.choice(_TEXTS)


def _times(rng: random.Random) -> int:
    return 1 + min(int(rng.expovariate(0.7)), 8)
