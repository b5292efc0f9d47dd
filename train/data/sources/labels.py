"""Files of labels (CSV with a header, JSON lines, StyleGAN's dataset.json), and which image each line means."""

import csv
import io
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from sngan_cond.stored import parse_json
from sngan_cond.validation import one_line, short_repr
from train.data.sources.base import printable
from train.errors import DataError

# Compared without letter case, "_" for spaces and hyphens. Of files the first that is there counts, of labels it must
# be the only one: which of two a user means nothing says.
FILE_COLUMNS = ("file_name", "filename", "file", "file_path", "filepath", "path", "image_path", "image_name", "image")
FILE_COLUMNS += ("img", "image_id", "id")
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "label_name", "class_id", "category", "target")
Entries = list[tuple[str, str]]  # of each line: which file, and its label, "" without one


def read_entries(content: bytes, name: str, column: str | None) -> Entries:
    """Read a file of labels.

    Args:
        content: the whole file.
        name: of the file; its ending tells the format, CSV unless .json, .jsonl or .ndjson.
        column: of the labels, None to look for it.
    Returns:
        Of each line file and label; nothing if the file says that there are no labels.
    Raises:
        DataError: if it is no such file, or which columns count is not clear.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    if name.lower().endswith(".json"):
        return _stylegan(text, name)
    rows = _json_lines(text, name) if name.lower().endswith((".jsonl", ".ndjson")) else _csv(text, name)
    if not rows:
        raise DataError(f"{name}: holds no line of a file and its label")
    file, label = _columns(list(rows[0]), name, column)
    return [(_text(row.get(file), name), _text(row.get(label), name)) for row in rows]


def _stylegan(text: str, name: str) -> Entries:
    """Read `{"labels": [["00000/img0.png", 3], ...]}`; without labels, null is in place of the list."""
    content = parse_json(text, error=DataError, name=name)
    labels = content.get("labels", False)
    if labels is None:
        return []
    if not isinstance(labels, list) or not all(isinstance(row, list) and len(row) == 2 for row in labels):
        is_what = short_repr(labels) if labels else "missing"
        raise DataError(f'{name}: labels is {is_what}; allowed is [["00000/img0.png", 3], ...] or null')
    return [(_text(file, name), _text(label, name)) for file, label in labels]


def _json_lines(text: str, name: str) -> list[dict[str, Any]]:
    return [
        parse_json(line, error=DataError, name=f"{name}, line {number}")
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]


def _csv(text: str, name: str) -> list[dict[str, Any]]:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        for row in lines:
            if any(row.pop(None, ())):  # cells that belong to no column, and another one may hold half a label
                what = f"has more cells than the header; a text that holds {delimiter!r} needs quotes"
                raise DataError(f"{name}, line {lines.line_num}: {what}")
            rows.append(row)
    except csv.Error as error:
        raise DataError(f"{name}: cannot be read as CSV ({error})") from error
    return rows


def _columns(columns: Sequence[str], name: str, asked: str | None) -> tuple[str, str]:
    """Return the columns of file names and of labels."""
    by_key = {_key(column): column for column in reversed(columns) if column}
    there = one_line(", ".join(short_repr(column) for column in columns), 400, more="…")
    if asked is not None and asked not in columns:
        raise DataError(f"--label-column is {asked!r}; allowed are the columns of {name}: {there}")
    files = [by_key[key] for key in FILE_COLUMNS if key in by_key and by_key[key] != asked]
    labels = [asked] if asked is not None else [by_key[key] for key in LABEL_COLUMNS if key in by_key]
    if len(columns) == 2 and len(files) + len(labels) == 1:  # the other one can only be what is missing
        others = [column for column in columns if column not in (*files, *labels)]
        files, labels = files or others, labels or others
    if not files:
        raise DataError(f"{name}: no column names files; it has {there}, allowed is one of {', '.join(FILE_COLUMNS)}")
    labels = [column for column in labels if column != files[0]]
    if len(labels) != 1:
        either = " or ".join(map(repr, labels))
        what = f"the labels may be in {either}" if labels else "no column is called as labels are"
        raise DataError(f"{name}: {what}; pass --label-column with one of {there}")
    return files[0], labels[0]


def _key(column: str) -> str:
    return column.strip().casefold().replace(" ", "_").replace("-", "_")


def _text(value: object, name: str) -> str:
    """Return a cell as text: CSV has nothing else, JSON numbers too."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(f"{name}: {short_repr(value)} is neither a file nor a label; allowed are texts and integers")
    return str(value).strip()


def _shown(path: str) -> str:
    return one_line(printable(path), 200, more="…")


def labels_of(entries: Entries, images: Sequence[str], name: str, where: str) -> tuple[dict[str, str], list[str]]:
    """Find the label of each image.

    A file is named by its path below the folder, by as much of the end of a path as is in both, or, as Kaggle does, by
    its name without suffix; the first of these ways in which any file is found is taken for all.

    Args:
        entries: of `read_entries`.
        images: paths below the folder of the images.
        name: of the file of labels.
        where: path of the folder of the images.
    Returns:
        Label of each image that has one, and remarks on what does not fit.
    Raises:
        DataError: if no file is found or has a label, one may be several images, or an image has several labels.
    """
    named = [(_normal(file), label) for file, label in entries if file]
    found, key = _matched([file for file, _ in named], images, where)
    if not found:
        first = f", the first {_shown(named[0][0])}," if named else ""
        raise DataError(f"{name}: none of its {len(named):,} files{first} is an image below {where}")
    labels: dict[str, str] = {}
    missing: list[str] = []
    several: list[str] = []
    for file, label in named:
        candidates = found.get(key(file), [])
        if not candidates:
            missing.append(file)
        elif len(candidates) > 1:
            which = " or ".join(_shown(image) for image in candidates[:2])
            raise DataError(f"{name}: {_shown(file)} may be {which}; allowed are paths that tell them apart")
        elif label and labels.setdefault(candidates[0], label) != label:
            several.append(f"{_shown(file)} is {short_repr(labels[candidates[0]])} and {short_repr(label)}")
    if several:
        raise DataError(f"{name}: gives {len(several):,} times an image a second label, the first time {several[0]}")
    if not labels:
        raise DataError(f"{name}: gives no image a label; pass --label-column, or --unlabelled")
    remarks = []
    if missing:
        remarks.append(f"{name} lists {len(missing):,} files that are no image here, the first {_shown(missing[0])}")
    if without := [image for image in images if image not in labels]:
        remarks.append(f"left out: {len(without):,} images without a label in {name}, the first {_shown(without[0])}")
    return labels, remarks


Key = Callable[[str], str]


def _matched(files: list[str], images: Sequence[str], where: str) -> tuple[dict[str, list[str]], Key]:
    """Return images by the first kind of key by which any is found, and that key of a file."""
    key: Key = str
    for of_image, key in _ways(max((file.count("/") + 1 for file in files), default=0), where):
        wanted = {key(file) for file in files}
        found = defaultdict(list)
        for image in images:
            if (known := of_image(_normal(image))) in wanted:
                found[known].append(image)
        if found:
            return found, key
    return {}, key


def _ways(deepest: int, where: str) -> Iterator[tuple[Key, Key]]:
    """Yield keys of images and of files, those first that tell more images apart."""
    yield str, str
    for depth in range(deepest, 0, -1):
        yield partial(_end, depth, f"{where}/"), partial(_end, depth, "")
    yield lambda image: posixpath.splitext(posixpath.basename(image))[0], str


def _end(depth: int, before: str, path: str) -> str:
    return "/".join((before + path).split("/")[-depth:])


def _normal(path: str) -> str:
    """Return a path in one form: macOS takes accents off their letters, Windows writes backslashes."""
    return posixpath.normpath(unicodedata.normalize("NFC", path.replace("\\", "/")))
