"""Which files are images, by their names, and how the others are reported."""

import dataclasses
import posixpath
import re
from collections import Counter

from PIL import Image

from train.data.image import FORMATS, SUFFIXES, begins_as_heif
from train.data.sources.base import printable
from train.data.sources.files import Files
from train.errors import DataError

# Whose files begin with three bytes or more that nothing else begins with.
_SIGNED = [name for name in FORMATS if name not in ("BMP", "PPM", "TGA")]
_HEAD_BYTES = 32
# A suffix, and what scrapers leave after it: "a.jpg?w=1", "a.jpg:large".
_IMAGE = re.compile(rf"({'|'.join(map(re.escape, SUFFIXES))})([?&@:!#;].*)?\Z", re.IGNORECASE)
_SUFFIX = re.compile(r"\.\w{1,12}")
NAMED = 6  # suffixes in a remark, beginning with the most frequent
CLASSES_NAMED = 3
Others = Counter[tuple[str, str]]  # files that are no images, by the folder at the top (else "") and suffix (else "")


@dataclasses.dataclass(frozen=True)
class Listed:
    """What a folder or an archive holds.

    Args:
        images: paths of the images.
        others: the files that are none.
    """

    images: list[str]
    others: Others


def list_images(files: Files) -> Listed:
    """Tell images from other files by their suffixes, and where there is none by their first bytes."""
    images: list[str] = []
    others: Others = Counter()
    for name in files.names:
        if named_as_image(name) or (not suffix(name) and _begins_as_image(files, name)):
            images.append(name)
        else:
            others[name.partition("/")[0] if "/" in name else "", suffix(name)] += 1
    return Listed(images, others)


def named_as_image(name: str) -> bool:
    """Return whether a file's name ends as an image's does."""
    return name.lower().endswith(SUFFIXES) or _IMAGE.search(posixpath.basename(name)) is not None


def suffix(name: str) -> str:
    """Return the suffix of a file in lower case, "" if it has none or one that is no word."""
    end = posixpath.splitext(name)[1].lower()
    return end if _SUFFIX.fullmatch(end) else ""


def _begins_as_image(files: Files, name: str) -> bool:
    try:
        head = files.head(name, _HEAD_BYTES)
    except DataError:
        return True  # for it is reported where images are read
    if begins_as_heif(head):  # also where it cannot be read: then the image is skipped, with advice
        return True
    Image.init()  # loads the formats once
    accepts = [Image.OPEN[name][1] for name in _SIGNED if name in Image.OPEN]
    return any(accept is not None and accept(head) is True for accept in accepts)


def left_out(others: Others) -> str:
    """Return how many files of which suffix and class are left out: "40 .avif in dog, 2 .xml in cat"."""
    by_suffix: dict[str, Counter[str]] = {}
    for (folder, end), count in others.items():
        by_suffix.setdefault(end, Counter())[folder] += count
    most = sorted(by_suffix.items(), key=lambda item: (-item[1].total(), item[0]))
    parts = [f"{classes.total():,} {end or 'without suffix'}{_in(classes)}" for end, classes in most[:NAMED]]
    rest = sum(classes.total() for _, classes in most[NAMED:])
    return ", ".join(parts) + (f", {rest:,} others" if rest else "")


def _in(classes: Counter[str]) -> str:
    named = [(printable(name), count) for name, count in classes.most_common(CLASSES_NAMED) if name]
    if not named:
        return ""
    if len(classes) == 1:
        return f" in {named[0][0]}"
    more = f" and {len(classes) - CLASSES_NAMED} more" if len(classes) > CLASSES_NAMED else ""
    return f" ({', '.join(f'{count:,} in {name}' for name, count in named)}{more})"
