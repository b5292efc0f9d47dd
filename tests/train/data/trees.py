"""Folders and archives from a table of their files, and what a source makes of them."""

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from train.data.sources import open_source
from train.data.sources.base import Source, SourceRequest

Tree = dict[str, int | str | bytes | None]  # path -> number of an image, text, content, or None for an empty folder


def encoded(number: int, suffix: str = "png") -> bytes:
    """An image of one colour that tells its number."""
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (number, 2 * number, 0)).save(file, {"jpg": "JPEG"}.get(suffix, "PNG"))
    return file.getvalue()


IMAGES = {number: encoded(number) for number in range(1, 10)}


def content(value: int | str | bytes) -> bytes:
    return IMAGES[value] if isinstance(value, int) else value.encode() if isinstance(value, str) else value


def folder(path: Path, tree: Tree) -> Path:
    path.mkdir()
    for name, value in tree.items():
        file = path / name
        (file if value is None else file.parent).mkdir(parents=True, exist_ok=True)
        if value is not None:
            file.write_bytes(content(value))
    return path


def zipped(path: Path, tree: Tree) -> Path:
    path = path.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in tree.items():
            archive.writestr(f"{name}/" if value is None else name, b"" if value is None else content(value))
    return path


def tarred(path: Path, tree: Tree, compression: str = "") -> Path:
    path = path.with_suffix(f".tar.{compression}" if compression else ".tar")
    with tarfile.open(path, f"w:{compression}") as archive:
        for name, value in tree.items():
            member = tarfile.TarInfo(name)
            member.type, member.size = (tarfile.DIRTYPE, 0) if value is None else (tarfile.REGTYPE, len(content(value)))
            archive.addfile(member, None if value is None else io.BytesIO(content(value)))
    return path


def tarred_and_gzipped(path: Path, tree: Tree) -> Path:
    return tarred(path, tree, "gz")


def opened(path: object, **asked: Any) -> Source:
    return open_source(SourceRequest(f"imagefolder:{path}", resolution=4, **asked))


def by_class(source: Source) -> dict[str, list[int]]:
    """The numbers of the images of each class, as their pixels say."""
    items = source.items(np.arange(len(source.labels)))
    names = source.class_names or [""]
    found: dict[str, list[int]] = {name: [] for name in names}
    for label, item in zip(source.labels.tolist(), items, strict=True):
        found[names[label]].append(item.load().getpixel((0, 0))[0])
    return found


CLASSES: Tree = {"dog/b.png": 1, "dog/a.png": 2, "cat/x.png": 3}
SPLITS: Tree = {"train/dog/a.png": 1, "train/cat/a.png": 2, "val/dog/a.png": 3, "val/cat/a.png": 4}
STYLEGAN: Tree = {
    "00000/img0.png": 1,
    "00000/img1.png": 2,
    "00001/img2.png": 3,
    "dataset.json": json.dumps({"labels": [["00000/img0.png", 10], ["00000/img1.png", 2], ["00001/img2.png", 10]]}),
}
KAGGLE: Tree = {"train/7f.png": 1, "train/a1.png": 2, "train/b2.png": 3, "test/c3.png": 4}
KAGGLE |= {"train.csv": "id,breed\na1,pug\n7f,boxer\nb2,pug\n"}
