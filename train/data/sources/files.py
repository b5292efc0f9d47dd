"""The files of a folder, a zip or a tar, as paths below it, without what systems leave beside photographs."""

import dataclasses
import io
import os
import posixpath
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sngan_cond.stored import ARCHIVE_ERRORS, open_regular
from train.data.image import BadImageError
from train.data.sources.base import printable
from train.errors import DataError

# Of macOS' zip programs, of network storage (Synology, QNAP), of Windows, of Linux' fsck. Hidden ones are junk anyway.
JUNK_FOLDERS = {
    "__macosx",
    "@eadir",
    "#recycle",
    "@recycle",
    "@recently-snapshot",
    "$recycle.bin",
    "recycler",
    "system volume information",
    "lost+found",
    "__pycache__",
}
JUNK_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "picasa.ini", "icon\r"}
ERRORS = (*ARCHIVE_ERRORS, tarfile.TarError)  # what reading a damaged archive raises
Content = Callable[[], Path | io.BytesIO]  # gives what `decode` reads; pickled, for workers call it
Read = TypeVar("Read")
Reader = Callable[[Path | io.BytesIO], Read]


@dataclasses.dataclass(frozen=True)
class Files:
    """Files below a folder or in an archive, none of them read yet.

    Args:
        where: the folder or archive.
        names: paths of the files below it, with "/" between their parts.
        folders: paths of the folders below it, empty ones too.
        junk: names of the folders that were left out.
        content: path of a file -> what gives its content.
        place: path of a file -> what to sort by, where reading in another order is slow, else None.
        prefix: of a part of another one's files, where it lies there.
    """

    where: Path
    names: Sequence[str]
    folders: frozenset[str]
    junk: frozenset[str]
    content: Callable[[str], Content]
    place: Callable[[str], Any] | None = None
    prefix: str = ""

    @property
    def top_folders(self) -> list[str]:
        """Names of the folders that lie directly in it, sorted."""
        return sorted(folder for folder in self.folders if "/" not in folder)

    def below(self, folder: str) -> "Files":
        """Return the files below one of the folders."""
        start = folder + "/"
        names, folders = (
            [name.removeprefix(start) for name in of if name.startswith(start)] for of in (self.names, self.folders)
        )
        return dataclasses.replace(
            self, where=self.where / folder, names=names, folders=frozenset(folders), prefix=self.prefix + start
        )

    def reader(self, name: str, read: Reader[Read]) -> Callable[[], Read]:
        """Return what an `Item` reads its image with, or the size of it."""
        return partial(read_image, self.content(self.prefix + name), read)

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of a file.

        Raises:
            DataError: if it cannot be read or has more bytes than the limit.
        """
        content = self.head(name, limit + 1)
        if len(content) > limit:
            raise DataError(f"--source imagefolder: {printable(self.where / name)} has more than {limit:,} bytes")
        return content

    def head(self, name: str, count: int) -> bytes:
        """Return at most so many of the first bytes of a file.

        Raises:
            DataError: if it cannot be read.
        """
        try:
            content = self.content(self.prefix + name)()
            with open_regular(content) if isinstance(content, Path) else content as file:
                return file.read(count)
        except ERRORS as error:
            raise DataError(f"--source imagefolder: {printable(self.where / name)} cannot be read ({error})") from error


def read_image(content: Content, read: Reader[Read]) -> Read:
    """Read an image, or the size of it, from a file of a folder or archive.

    Raises:
        BadImageError: if the image cannot be used, or the archive is damaged there.
    """
    try:
        file = content()
    except ERRORS as error:
        raise BadImageError("unreadable", f"{error}") from error
    return read(file)


def folder_files(root: Path) -> Files:
    """List a folder; links are followed, but not in a circle.

    Raises:
        DataError: if a folder in it cannot be listed.
    """
    names: list[str] = []
    folders: set[str] = set()
    junk: set[str] = set()
    waiting = [("", frozenset([_identity(root)]))]
    while waiting:
        prefix, above = waiting.pop()
        for entry in _entries(os.path.join(root, prefix)):  # noqa: PTH118 -- a million Path objects cost seconds
            if not _leads(entry.is_dir):
                # A link to nothing is reported where it is read; a pipe would be waited for, for ever.
                leads_nowhere = entry.is_symlink() and not _leads(entry.stat)
                if (leads_nowhere or _leads(entry.is_file)) and not _is_junk(entry.name, JUNK_FILES):
                    names.append(prefix + entry.name)
            elif _is_junk(entry.name, JUNK_FOLDERS):
                junk.add(entry.name)
            elif (identity := _identity(entry.path)) not in above:
                folders.add(prefix + entry.name)
                waiting.append((f"{prefix}{entry.name}/", above | {identity}))
    return Files(root, sorted(names), frozenset(folders), frozenset(junk), lambda name: partial(Path, root, name))


def archive_files(
    path: Path, members: Iterable[tuple[str, Any]], content: Callable[[Any], Content], *, in_order: bool = False
) -> Files:
    """Arrange what an archive lists; of two members of one name the later counts.

    Args:
        members: name and place of each; folders have no place.
        content: place -> what gives its content.
        in_order: reading in another order than that of places is slow.
    """
    places: dict[str, Any] = {}
    folders: set[str] = set()
    junk: set[str] = set()
    known: dict[str, str | None] = {}  # folder as the archive has it -> path below it, None for junk
    for name, place in members:
        folder, _, file = name.rpartition("/") if place is not None else (name, "", "")
        if folder not in known:
            parts = [part for part in folder.split("/") if part not in ("", ".", "..")]
            left_out = next((part for part in parts if _is_junk(part, JUNK_FOLDERS)), None)
            known[folder] = "/".join(parts) if left_out is None else None
            if left_out is None:
                folders.update(_with_parents("/".join(parts), folders))
            else:
                junk.add(left_out)
        if file and (inner := known[folder]) is not None and not _is_junk(file, JUNK_FILES):
            places[f"{inner}/{file}" if inner else file] = place
    place = places.__getitem__ if in_order else None
    return Files(
        path, list(places), frozenset(folders), frozenset(junk), lambda name: content(places[name]), place=place
    )


def _with_parents(folder: str, known: set[str]) -> Iterator[str]:
    while folder and folder not in known:
        yield folder
        folder = posixpath.dirname(folder)


def _is_junk(name: str, known: set[str]) -> bool:
    return name.startswith(".") or name.casefold() in known


def _leads(to: Callable[[], Any]) -> bool:
    """Return what a method of a DirEntry says; of a link in a circle of links, which is an error to systems, False."""
    try:
        return bool(to())
    except OSError:
        return False


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116 -- a DirEntry's own has no numbers on Windows
    return status.st_dev, status.st_ino


def _entries(folder: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"--source imagefolder: {printable(folder)} cannot be listed ({error.strerror})") from error
