"""The report as a page: one HTML file without scripts or links, of a few MB at most whatever the set holds."""

import dataclasses
import io
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from train.config import TrainConfig
from train.data.dataset import PreparedDataset
from train.data.info import INFO_NAME, counted
from train.data.remarks import ENOUGH, remarks
from train.data.report.contents import Originals, read_sizes, samples, skipped
from train.data.report.duplicates import Group, find_duplicates
from train.data.sources.base import Source
from train.errors import DataError
from train.files import write_text_atomically
from train.page import address, render

ENDINGS = (".html", ".htm")
COLUMNS = 12
THUMB_PX = 80
MAX_CLASSES_SHOWN = 50
MAX_CLASSES_COUNTED = 1_000
MAX_GROUPS = 50
MAX_OF_GROUP = 6
MAX_SKIPPED = 200


def check_path(path: Path) -> None:
    """Refuse a report's path before anything is made.

    Raises:
        DataError: if it is no name of an HTML file, or a folder.
    """
    if path.suffix.lower() not in ENDINGS:
        raise DataError(f"--report is {str(path)!r}; allowed is a file's name that ends in {' or '.join(ENDINGS)}")
    if path.is_dir():
        raise DataError(f"--report is {str(path)!r}, a folder; allowed is a file's name")


def write_report(path: Path, dataset: PreparedDataset, source: Source, *, limit: int | None, command: str) -> str:
    """Write the report of a data set.

    Args:
        source: that it was made from.
        limit: as for `build`.
        command: that made it, as one types it.
    Returns:
        What was found, on one line.
    Raises:
        DataError: if the file cannot be written.
    """
    groups = find_duplicates(dataset.images, dataset.labels)
    context = _context(dataset, source, Originals(dataset, source, limit), groups)
    try:
        write_text_atomically(path, render(Path(__file__).with_name("page.html"), context | {"command": command}))
    except OSError as error:
        why = f"cannot write {error.filename or path} ({error.strerror})"
        raise DataError(f"--report: {why}; the data set itself is whole") from error
    return f"{path} is written: {findings(groups)}"


def _context(dataset: PreparedDataset, source: Source, originals: Originals, groups: list[Group]) -> dict[str, Any]:
    """Return what the page's template reads."""
    counts = dataset.info.images_per_class
    smallest, largest = (int(np.argmin(counts)), int(np.argmax(counts))) if counts else (0, 0)
    return {
        "dataset": dataset,
        "info": dataset.info,
        "made": datetime.fromtimestamp((dataset.folder / INFO_NAME).stat().st_mtime).astimezone(),
        "smallest": smallest,
        "largest": largest,
        "notes": remarks(dataset.info, TrainConfig()),
        "few": ENOUGH,
        "counted": sorted(sorted(range(len(counts)), key=counts.__getitem__)[:MAX_CLASSES_COUNTED]),
        "sizes": read_sizes(originals, len(dataset)),
        "thumb_px": max(1, THUMB_PX // dataset.resolution) * min(THUMB_PX, dataset.resolution),
        "sheet": {
            label: _thumbs(dataset, originals, rows)
            for label, rows in samples(dataset, MAX_CLASSES_SHOWN, COLUMNS).items()
        },
        "groups": [
            (group, _thumbs(dataset, originals, np.array(group.rows[:MAX_OF_GROUP]))) for group in groups[:MAX_GROUPS]
        ],
        "findings": findings(groups),
        "number_of_groups": len(groups),
        "skipped": skipped(dataset.folder)[:MAX_SKIPPED],
        "listing": source.remarks,
    }


def findings(groups: list[Group]) -> str:
    """Return on one line how many groups there are, and of what kind."""
    identical = sum(group.identical for group in groups)
    parts = [
        f"{counted(number, 'group')} of {what}"
        for number, what in ((identical, "identical images"), (len(groups) - identical, "near duplicates"))
        if number
    ]
    across = sum(group.across for group in groups)
    return (", ".join(parts) or "no duplicates") + (f", {across:,} across classes" if across else "")


@dataclasses.dataclass(frozen=True)
class _Thumb:
    """An image of the data set on the page."""

    name: str
    label: int
    address: str


def _thumbs(dataset: PreparedDataset, originals: Originals, rows: np.ndarray) -> list[_Thumb]:
    names = originals.names(rows)
    return [
        _Thumb(name, int(dataset.labels[row]), _address(dataset.images[row]))
        for name, row in zip(names, rows.tolist(), strict=True)
    ]


def _address(pixels: np.ndarray) -> str:
    """Return an image, reduced if it is large, as an address that holds it."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMB_PX, THUMB_PX), Image.Resampling.BOX)
    image.save(encoded := io.BytesIO(), "WEBP", quality=80)
    return address(encoded.getvalue(), "webp")
