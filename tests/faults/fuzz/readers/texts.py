"""Texts that name classes, blends, latents and models; flags; and the readers of JSON and arrays behind all files."""

import argparse
import contextlib
import functools
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sngan_cond import ancestry, blends, classes, npy, stored
from sngan_cond.cli import _parser
from sngan_cond.hub.files import PretrainedError, parse_repo, parse_revision
from tests.faults.fuzz.engine import Reader
from tests.faults.fuzz.mutate import mutate_bytes, mutate_json, mutate_text
from tests.faults.fuzz.readers.common import (
    CONFIG,
    NPY_TOKENS,
    fixed,
    text,
)


def _json(folder: Path, data: bytes) -> object:
    (folder / "a.json").write_bytes(data)
    return stored.read_json(folder / "a.json", object)


def _npy_seeds(folder: Path) -> Sequence[bytes]:
    arrays = (
        np.zeros((3, 2), np.uint8),
        np.arange(5),
        np.asfortranarray(np.ones((2, 3, 4))),
        np.array(True),
        np.zeros(0),
    )
    for i, array in enumerate(arrays):
        np.save(folder / f"{i}.npy", array)
    return [(folder / f"{i}.npy").read_bytes() for i in range(len(arrays))]


def _npy(folder: Path, data: bytes) -> object:
    (folder / "a.npy").write_bytes(data)
    array = npy.map_npy(folder / "a.npy")
    return array.sum() if array.size else None


def _latent(folder: Path, data: bytes) -> object:
    name = text(data)
    canonical = ancestry.canonical_name(name)
    assert ancestry.canonical_name(canonical) == canonical
    drawn = ancestry.sources(name)
    if sum(source.row + 1 for source in drawn) <= 50:
        z = ancestry.named_latent(CONFIG, name)
        assert z.shape == (1, 8)
    return drawn


def _class(folder: Path, data: bytes) -> object:
    query = text(data)
    found = classes.search_classes(CONFIG, query)
    assert len(set(found)) == len(found)
    label = classes.resolve_class(CONFIG, query)
    assert classes.resolve_class(CONFIG, classes.class_label(CONFIG, label)) == label
    return classes.class_text(CONFIG, label)


def _blend(folder: Path, data: bytes) -> object:
    blend = blends.class_blend(CONFIG, text(data))
    again = blends.class_blend(CONFIG, blends.blend_text(CONFIG, blend))
    assert again.keys() == blend.keys()
    row = blends.class_row(CONFIG, text(data))
    assert abs(float(row.sum()) - 1) < 1e-4
    return row


def _mixture(folder: Path, data: bytes) -> object:
    values = json.loads(data.decode("utf-8", "replace").encode("utf-8", "replace"))
    return blends.class_weights(CONFIG, values)


def _mutate_mixture(rng, seeds, tokens=()):  # type: ignore[no-untyped-def]
    """Change the tree, and keep it JSON: a dictionary is what its reader is given."""
    while True:
        data = mutate_json(rng, seeds, tokens)
        try:
            json.loads(data.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        return data


def _names(folder: Path, data: bytes) -> object:
    name = text(data)
    repo, _, revision = name.partition("@")
    return parse_repo(repo), parse_revision(revision or "main")


@functools.cache
def _flags_parser() -> argparse.ArgumentParser:
    return _parser()


def _flags(folder: Path, data: bytes) -> object:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # --help
            return _flags_parser().parse_args(text(data).split("\x1f")[:100])
    except SystemExit as error:
        if error.code == 2:
            raise ValueError("refused") from error
        return None


_names_tokens = (
    b"tench",
    b"crane (",
    b")",
    b"n01440764",
    b"golf_ball",
    b"*",
    b"+",
    b"0.5",
    b"3*0.5+",
    b"\xff",
    b"9" * 30,
)

_latent_tokens = (
    b"7:3",
    b":",
    b"~",
    b"(",
    b")",
    b"~0.2~",
    b"1e-40",
    b"1023",
    b"9223372036854775807",
    b"0.05",
    b"1e999",
)

READERS = (
    Reader(
        "json",
        fixed('{"a": [1, -2.5e3, null, true, "\\u00e9\\n"], "b": {"c": {}}}', "[]", '"x"', "12"),
        _json,
        (ValueError,),
        (stored.read_text, stored.read_bytes, stored.read_json, stored.parse_json, stored.check_tree, stored._children),
        mutate_json,
        (b"\\ud800", b"\\u0000", b"1e", b"-", b"\xef\xbb\xbf", b"\xed\xa0\x80"),
        share=3,
    ),
    Reader("npy", _npy_seeds, _npy, (npy.NpyError, OSError), (npy,), mutate_bytes, NPY_TOKENS, share=3),
    Reader(
        "latent",
        fixed("7:3", "7:3:0.7~0.2~11:2", "(1:0~0.5~2:1)~1e-05~(3:0:1~1~4:0)"),
        _latent,
        (ValueError,),
        (ancestry,),
        mutate_text,
        _latent_tokens,
        share=2,
    ),
    Reader(
        "class",
        fixed("tench", "n02012849", "crane (1)", "golf ball", "2"),
        _class,
        (ValueError,),
        (classes,),
        mutate_text,
        _names_tokens,
        share=2,
    ),
    Reader(
        "blend",
        fixed("2*0.7+1*0.3", "1*1e-5+3*4", "0", "tench"),
        _blend,
        (ValueError,),
        (blends,),
        mutate_text,
        _names_tokens,
    ),
    Reader(
        "mixture",
        fixed('{"0": 1, "golf ball": 0.5}', '{"n01440764": 2}'),
        _mixture,
        (ValueError,),
        (blends.class_weights, blends._is_weight),
        _mutate_mixture,
        _names_tokens,
    ),
    Reader(
        "model-name",
        fixed("user/name", "user/name@v1.0", "a/b@refs/pr/1"),
        _names,
        (PretrainedError,),
        (parse_repo, parse_revision),
        mutate_text,
    ),
    Reader(
        "flags",
        fixed(
            *(
                "\x1f".join(line.split())
                for line in (
                    "sample --model bundled --class 1 2 -n 3 --seed 4 --out a.png --truncation 0.7",
                    "mixture --model user/x --class 1 --weight 0.5 -o b.npz",
                    "walk --model m --to-seed 3 --latent 7:3 -o c.gif",
                    "cross --model m --latent 7:3 --to-latent 1:1 --class 0 --to-class 1 -o d.png --steps 3",
                )
            )
        ),
        _flags,
        (ValueError,),
        (_parser,),
        mutate_text,
        (b"\x1f", b"--", b"-o", b"--n", b"=", b"--help"),
        share=0.3,
    ),
)
