"""`dataset.json`: what a prepared data set says about itself, written once and read strictly."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from train.errors import DataError

VERSION = 1
INFO_NAME, IMAGES_NAME, LABELS_NAME = "dataset.json", "images.npy", "labels.npy"


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Everything about a prepared data set but its two arrays.

    Args:
        source: as given to `train.prepare`, for instance `imagefolder:/data/imagenet/train`.
        split: as given to `train.prepare`, None for the source's default.
        resolution: side R of every image in pixels.
        count: number of images N.
        class_names: in label order; empty for a set without classes.
        class_ids: WordNet ids in label order, None where the source has none.
        images_per_class: in label order; empty for a set without classes.
        preparation: crop, fit, filter, limits and versions that decided the pixels.
        sha256: hexadecimal digest of each array file, by file name.
        skipped: `total`, `by_reason` and the first of them as `examples` (all are in skipped.tsv).
        version: of this layout.
    """

    source: str
    split: str | None
    resolution: int
    count: int
    class_names: list[str]
    class_ids: list[str] | None
    images_per_class: list[int]
    preparation: dict[str, Any]
    sha256: dict[str, str]
    skipped: dict[str, Any]
    version: int = VERSION

    def write(self, path: Path) -> None:
        """Write as indented JSON; equal contents give equal bytes. Not atomic: the file is part of a folder that is."""
        text = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "DatasetInfo":
        """Read and check types, ranges and mutual agreement of the fields.

        Raises:
            DataError: if the file is missing, no JSON, of another version, or a field is missing, unknown or wrong.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DataError(f"{path}: cannot be read as JSON ({error})") from error
        if not isinstance(fields, dict) or fields.get("version") != VERSION:
            found = fields.get("version") if isinstance(fields, dict) else type(fields).__name__
            raise DataError(f"{path}: version is {found!r}, allowed is {VERSION}; prepare the data set again")
        names = {field.name for field in dataclasses.fields(cls)}
        if wrong := sorted(names ^ fields.keys()):
            kind = "missing" if wrong[0] in names else "unknown"
            raise DataError(f"{path}: field {wrong[0]!r} is {kind}; allowed are exactly {', '.join(sorted(names))}")
        info = cls(**fields)
        info._check(path)
        return info

    def _check(self, path: Path) -> None:
        """Raise DataError at the first field that is wrong in itself or contradicts another."""

        def all_are(values: object, kind: type) -> bool:
            return isinstance(values, list) and all(type(value) is kind for value in values)

        def require(ok: bool, name: str, allowed: str) -> None:
            if not ok:
                shown = repr(getattr(self, name))
                shown = shown if len(shown) <= 60 else shown[:57] + "..."
                raise DataError(f"{path}: {name} is {shown}; allowed is {allowed}")

        require(isinstance(self.source, str), "source", "a string")
        require(self.split is None or isinstance(self.split, str), "split", "a string or null")
        require(type(self.resolution) is int and self.resolution > 0, "resolution", "a positive integer (pixels)")
        require(type(self.count) is int and self.count > 0, "count", "a positive integer")
        require(all_are(self.class_names, str), "class_names", "a list of strings")
        classes = len(self.class_names)
        per_class = f"a list of {classes} entries, one a class"
        require(
            self.class_ids is None or (all_are(self.class_ids, str) and len(self.class_ids) == classes),
            "class_ids",
            f"null or {per_class}",
        )
        require(
            all_are(self.images_per_class, int) and len(self.images_per_class) == classes, "images_per_class", per_class
        )
        require(
            classes == 0 or sum(self.images_per_class) == self.count,
            "images_per_class",
            f"counts that sum to {self.count}",
        )
        require(isinstance(self.preparation, dict), "preparation", "an object")
        require(isinstance(self.skipped, dict), "skipped", "an object")
        digests = self.sha256 if isinstance(self.sha256, dict) else {}
        require(digests.keys() == {IMAGES_NAME, LABELS_NAME}, "sha256", f"digests of {IMAGES_NAME} and {LABELS_NAME}")
