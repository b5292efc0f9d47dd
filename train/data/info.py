"""`dataset.json`: what a prepared data set says about itself, written once and read strictly."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Self

import pydantic
from pydantic import Field

from sngan_cond.stored import read_json
from sngan_cond.validation import short_repr
from train.errors import DataError
from train.stored import STRICT, check_as

VERSION = 1
INFO_NAME, IMAGES_NAME, LABELS_NAME = "dataset.json", "images.npy", "labels.npy"
_DIGESTS = f"digests of {IMAGES_NAME} and {LABELS_NAME}"


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
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
    """

    source: str
    split: Annotated[str | None, Field(description="a string or null")]
    resolution: Annotated[int, Field(description="a positive integer (pixels)", gt=0)]
    count: Annotated[int, Field(description="a positive integer", gt=0)]
    class_names: Annotated[list[str], Field(description="a list of strings")]
    class_ids: Annotated[list[str] | None, Field(description="null or a list of strings")]
    images_per_class: Annotated[list[int], Field(description="a list of integers")]
    preparation: dict[str, Any]
    sha256: Annotated[dict[str, str], Field(description=_DIGESTS)]
    skipped: dict[str, Any]
    version: int = VERSION

    def write(self, path: Path) -> None:
        """Write as indented JSON; equal contents give equal bytes. Not atomic: the file is part of a folder that is."""
        text = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8")

    def identity(self) -> dict[str, str | int]:
        """Return what two data sets have in common if training cannot tell them apart, wherever they lie."""
        names = json.dumps([self.class_names, self.class_ids]).encode()
        return {"count": self.count, **self.sha256, "class_names": hashlib.sha256(names).hexdigest()}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check types, ranges and mutual agreement of the fields.

        Raises:
            DataError: if the file is missing, no JSON, of another version, or a field is missing, unknown or wrong.
        """
        fields = read_json(path, error=DataError)
        if (version := fields.get("version")) != VERSION:
            raise DataError(
                f"{path}: version is {short_repr(version)}, allowed is {VERSION}; prepare the data set again"
            )
        info = check_as(cls, fields, error=DataError, name=path)
        classes = len(info.class_names)
        per_class = f"a list of {classes} entries, one a class"
        total = f"counts that sum to {info.count}"
        for ok, name, allowed in (
            (info.class_ids is None or len(info.class_ids) == classes, "class_ids", f"null or {per_class}"),
            (len(info.images_per_class) == classes, "images_per_class", per_class),
            (not classes or sum(info.images_per_class) == info.count, "images_per_class", total),
            (info.sha256.keys() == {IMAGES_NAME, LABELS_NAME}, "sha256", _DIGESTS),
        ):
            if not ok:
                raise DataError(f"{path}: {name} is {short_repr(fields[name])}; allowed is {allowed}")
        return info


def counted(number: int, what: str) -> str:
    """Return "1 class", "2 classes", "1,000 images"."""
    return f"{number:,} {what}" + ("" if number == 1 else "es" if what.endswith("s") else "s")
