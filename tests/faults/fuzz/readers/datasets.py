"""Prepared data sets, whole and half made, and the arrays that one can be made of."""

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.faults.fuzz.engine import Reader
from tests.faults.fuzz.formats import (
    compressed,
)
from tests.faults.fuzz.mutate import mutate_bytes, mutate_json, mutate_lines, mutate_text
from tests.faults.fuzz.readers.common import (
    NPY_TOKENS,
    fixed,
    put,
)
from train.data import dataset, info, partial
from train.data.dataset import PreparedDataset
from train.data.partial import Partial
from train.data.report import contents
from train.data.sources import idx
from train.data.sources.arrays import _class_names, _load, arrays
from train.data.sources.base import SourceRequest
from train.errors import DataError


def _in_set(name: str) -> object:
    """Return the seeds, and what opens a prepared data set whose file of that name they are."""

    def prepared(folder: Path) -> Path:
        where = folder / "set"
        if not where.exists():
            where.mkdir()
            np.save(where / "images.npy", np.arange(6 * 4 * 4 * 3, dtype=np.uint8).reshape(6, 4, 4, 3))
            np.save(where / "labels.npy", np.array([0, 1, 2, 0, 1, 1]))
            digests = {"images.npy": "a", "labels.npy": "b"}
            about = {"source": "shapes", "split": None, "resolution": 4, "count": 6, "preparation": {}, "skipped": {}}
            names = {
                "class_names": ["a", "b", "c"],
                "class_ids": None,
                "images_per_class": [2, 3, 1],
                "sha256": digests,
            }
            info.DatasetInfo(**about, **names).write(where / "dataset.json")
        return where

    def read(folder: Path, data: bytes) -> object:
        where = prepared(folder)
        whole = (where / name).read_bytes()
        try:
            (where / name).write_bytes(data)
            opened = PreparedDataset.open(where)
            return opened.images[-1].sum(), opened.labels.sum(), len(opened), opened.class_names
        finally:
            (where / name).write_bytes(whole)

    return lambda folder: [(prepared(folder) / name).read_bytes()], read


def _partial(name: str) -> object:
    plan = {"source": "shapes", "split": None, "resolution": 4, "preparation": {"crop": "center", "filter": "box"}}

    def begin(folder: Path) -> Partial:
        work = Partial(folder / "out", dict(plan))
        with work.locked():
            if not work.rows:
                work.append(np.zeros((3, 4, 4, 3), np.uint8), [])
                work.note()
        return work

    def seeds(folder: Path) -> Sequence[bytes]:
        begin(folder)
        return [(folder / "out.partial" / name).read_bytes()]

    def read(folder: Path, data: bytes) -> object:
        if not (folder / "out.partial").exists():
            begin(folder)
        path = folder / "out.partial" / name
        whole = path.read_bytes()
        try:
            path.write_bytes(data)
            work = Partial(folder / "out", dict(plan))
            with work.locked():
                return work.made
        finally:
            path.write_bytes(whole)

    return seeds, read


def _idx_seeds(_: Path) -> Sequence[bytes]:
    three = b"\0\0\x08\x03" + struct.pack(">III", 2, 3, 4) + bytes(24)
    return [three, b"\0\0\x08\x03" + struct.pack(">III", 0, 3, 4)]


def _idx(folder: Path, data: bytes) -> object:
    ending = ".gz" if data[:2] == b"\x1f\x8b" else ""
    return idx.read_idx(put(folder / f"train-images-idx3-ubyte{ending}", data), 3)


def _arrays(folder: Path, data: bytes) -> object:
    path = put(folder / "train_images.npy", data)
    return arrays(SourceRequest(f"arrays:{path.parent}", 4, unlabelled=True)).listing


def _arrays_seeds(folder: Path) -> Sequence[bytes]:
    np.save(folder / "a.npy", np.zeros((3, 4, 5, 3), np.uint8))
    np.save(folder / "b.npy", np.zeros((3, 4, 5), np.uint8))
    return [(folder / name).read_bytes() for name in ("a.npy", "b.npy")]


def _skipped(folder: Path, data: bytes) -> object:
    put(folder / "skipped.tsv", data)
    return contents.skipped(folder)


_dataset_json, _labels_npy, _images_npy = (_in_set(name) for name in ("dataset.json", "labels.npy", "images.npy"))

_plan, _done = (_partial(name) for name in ("plan.json", "done.jsonl"))

READERS = (
    Reader(
        "dataset.json",
        *_dataset_json,
        (DataError,),
        (info.DatasetInfo, dataset._check_labels, dataset.first_faults),
        mutate_json,
    ),
    Reader(
        "labels.npy", *_labels_npy, (DataError,), (dataset._open_array, dataset._check_labels), mutate_bytes, NPY_TOKENS
    ),
    Reader("images.npy", *_images_npy, (DataError,), (dataset._open_array,), mutate_bytes, NPY_TOKENS),
    Reader(
        "plan.json",
        *_plan,
        (DataError,),
        (partial.Partial._check_plan, partial.first_difference),
        mutate_json,
        share=0.5,
    ),
    Reader(
        "done.jsonl",
        *_done,
        (DataError,),
        (partial.Partial._read_done, partial.Note),
        mutate_lines,
        (b"rows", b"bad"),
        share=0.5,
    ),
    Reader(
        "skipped.tsv",
        fixed("file\treason\tdetail\na.jpg\tunreadable\tx y\nb\tc.jpg\ttoo_small\t\n"),
        _skipped,
        (),
        (contents.skipped,),
        mutate_text,
        (b"\t", b"\n"),
        share=0.5,
    ),
    Reader("idx", _idx_seeds, _idx, (DataError,), (idx.read_idx,), share=1.5),
    Reader(
        "idx.gz",
        lambda _: [gzip.compress(seed) for seed in _idx_seeds(_)],
        _idx,
        (DataError,),
        (idx.read_idx,),
        compressed(mutate_bytes),
    ),
    Reader("arrays", _arrays_seeds, _arrays, (DataError,), (arrays, _load, _class_names), mutate_bytes, NPY_TOKENS),
)
