"""Where the labels of images are: in a file that was named, in one that lies beside them, or in their folders."""

import posixpath
from pathlib import Path

from sngan_cond.stored import open_regular
from train.data.sources.base import SourceRequest, printable
from train.data.sources.files import Files
from train.data.sources.labels import Entries, labels_of, read_entries
from train.data.sources.listing import Listed
from train.errors import DataError

STYLEGAN = "dataset.json"
WELL_KNOWN = ("metadata.csv", "metadata.jsonl", "labels.csv", STYLEGAN)  # looked for beside the images
FOLDERS = "folders"  # what --labels says where class folders count
WEBDATASET = ".cls"  # ending of a file beside each image
ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", WEBDATASET)
MAX_BYTES = 1 << 28  # of a file of labels: millions of lines
MAX_CLASS_BYTES = 1 << 10  # of a .cls file, which holds a number or a name


def labels_by_file(
    top: Files, files: Files, listed: Listed, request: SourceRequest
) -> tuple[dict[str, str] | None, list[str]]:
    """Return the label of each image as a file says it, None if folders say it, and remarks.

    A file that nobody named counts where images are not in several folders, or where it is made by a program whose
    folders mean nothing (StyleGAN's dataset tool, WebDataset).

    Args:
        top: all files of the source.
        files: where the images are.
        listed: what is there.
    Raises:
        DataError: if the file is missing or no such file, or says something else than class folders beside it.
    """
    where = str(files.where.absolute())
    if request.labels == FOLDERS:
        return None, []
    if request.labels is not None:
        name, content = _named(request.labels, top)
        return labels_of(read_entries(content, name, request.label_column), listed.images, name, where)
    beside = next(((place, file) for place in (files, top) for file in WELL_KNOWN if file in place.names), None)
    if beside is None:
        entries = _webdataset(files, listed)
        return labels_of(entries, listed.images, f"{WEBDATASET} files", where) if entries else (None, [])
    return _unless_folders(*beside, files, listed, request)


def _unless_folders(
    place: Files, file: str, files: Files, listed: Listed, request: SourceRequest
) -> tuple[dict[str, str] | None, list[str]]:
    """Return the labels of a file that was found, or None where they are the class folders beside it.

    Args:
        place: where the file was found.
    """
    name = printable(place.where / file)
    folders = {image.partition("/")[0] for image in listed.images if "/" in image}
    wanted = request.label_column is not None
    try:
        entries = read_entries(place.read(file, MAX_BYTES), name, request.label_column)
        labels, remarks = labels_of(entries, listed.images, name, str(files.where.absolute())) if entries else ({}, [])
    except DataError as error:
        if not folders or wanted:
            raise
        return None, [f"classes are the folders, for {error}"]
    if not entries:
        raise DataError(f"{name}: says that there are no labels; pass --unlabelled, or --labels {FOLDERS}")
    if len(folders) > 1 and file != STYLEGAN and not wanted:
        pairs = {(image.partition("/")[0], labels.get(image)) for image in listed.images}
        if len(pairs) == len({folder for folder, _ in pairs}) == len({label for _, label in pairs}):
            return None, []  # the file says the same
        raise DataError(
            f"--source imagefolder: {printable(files.where)} holds class folders and {file}, which says something "
            f"else; pass --labels {printable(place.prefix + file)} or --labels {FOLDERS}"
        )
    return labels, [f"labels are from {name}", *remarks]


def _named(given: str, top: Files) -> tuple[str, bytes]:
    """Return name and content of a file on disk, or else in the folder or archive."""
    path = Path(given).expanduser()
    if not path.is_file() and given in top.names:
        return printable(given), top.read(given, MAX_BYTES)
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        what = f"{error.strerror}; allowed are a file, also one in {printable(top.where)}, and {FOLDERS!r}"
        raise DataError(f"--labels is {printable(given)!r}: {what}") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"--labels: {printable(given)} has more than {MAX_BYTES:,} bytes")
    return printable(given), content


def _webdataset(files: Files, listed: Listed) -> Entries:
    """Read the .cls file that belongs to each image: the one of the same name, up to its first dot."""
    there = {name for name in files.names if name.endswith(WEBDATASET)}
    pairs = []
    for image in listed.images:
        file = posixpath.join(posixpath.dirname(image), posixpath.basename(image).split(".")[0] + WEBDATASET)
        if file in there:
            pairs.append((image, file))
    if (place := files.place) is not None:  # the archive is decompressed once, not from its start for each file
        pairs.sort(key=lambda pair: place(files.prefix + pair[1]))
    return [(image, files.read(file, MAX_CLASS_BYTES).decode("utf-8", "replace").strip()) for image, file in pairs]
