"""Zip and tar archives, read in place: nothing is unpacked, so no name in an archive becomes a path on this machine."""

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import posixpath
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from train.data.sources.base import printable
from train.data.sources.files import ERRORS, Files, archive_files, folder_files
from train.errors import DataError

MAX_MEMBER_BYTES = 1 << 30  # of a file in an archive, which is held in memory
MAX_HEADER_BYTES = 1 << 20  # of a tar's own entries, such as long names
MAX_LINK_BYTES = 4096  # of the path in a zip's symbolic link
UTF_8_NAME, ENCRYPTED = 0x800, 0x1  # bits of a zip member's flags
WINDOWS = 0  # a zip member's create_system
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}  # by how such a file begins


class Archive(NamedTuple):
    """Which archive a process keeps open: another one once the file was changed, `stamp` nanoseconds after 1970."""

    path: Path
    stamp: int


class Place(NamedTuple):
    """Where a member of a tar begins in it once it is decompressed, and its length, both in bytes."""

    start: int
    size: int


def open_files(path: Path) -> Files:
    """List a folder, a zip or a tar, also one that gzip, bzip2 or xz compressed.

    Raises:
        DataError: if it is none of these, or damaged or encrypted.
    """
    if not path.is_file():
        if not path.is_dir():
            raise DataError(f"--source imagefolder: {printable(path)} is no folder")
        return folder_files(path)
    try:
        return (_zip_files if zipfile.is_zipfile(path) else _tar_files)(path)
    except ERRORS as error:
        if isinstance(error, DataError):
            raise
        what = "is no folder and no whole zip or tar; unpack it and give the folder"
        raise DataError(f"--source imagefolder: {printable(path)} {what} ({error})") from error


def _zip_files(path: Path) -> Files:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _check_zip(path, members)
        links = {_zip_name(member): _target(archive, member) for member in members if _is_link(member)}
    known = Archive(path, path.stat().st_mtime_ns)
    places = {_zip_name(member): member.filename for member in members}
    # A link has the place of what it points at; one that points outside, or at a folder, is reported where it is read.
    places |= {name: places.get(_resolved(name, target), target) for name, target in links.items()}
    named = ((name, None if name.endswith("/") else place) for name, place in places.items())
    return archive_files(path, named, lambda name: functools.partial(_from_zip, known, name))


def _check_zip(path: Path, members: list[zipfile.ZipInfo]) -> None:
    locked = [member.filename for member in members if member.flag_bits & ENCRYPTED]
    foreign = [member for member in members if member.compress_type not in METHODS]
    if locked:
        raise DataError(
            f"--source imagefolder: {printable(path)}: {len(locked):,} files are encrypted, the first "
            f"{printable(locked[0])}; unpack it and give the folder"
        )
    if foreign:
        raise DataError(
            f"--source imagefolder: {printable(path)}: {printable(foreign[0].filename)} is compressed by method "
            f"{foreign[0].compress_type}, which Python does not read; unpack it and give the folder"
        )


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


def _target(archive: zipfile.ZipFile, link: zipfile.ZipInfo) -> str:
    """Return what a symbolic link points at, which is its content."""
    with archive.open(link) as file:
        return file.read(MAX_LINK_BYTES).decode("utf-8", "replace")


def _resolved(link: str, target: str) -> str:
    """Return the name that a link points at."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(link), target))


def _zip_name(member: zipfile.ZipInfo) -> str:
    """Return a member's name as who made it saw it.

    macOS writes UTF-8 without the flag that says so, which Python then reads as code page 437; some of Windows'
    programs put backslashes between folders.
    """
    name = member.filename
    if not member.flag_bits & UTF_8_NAME:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/") if member.create_system == WINDOWS else name


@functools.lru_cache(maxsize=1)
def _opened_zip(archive: Archive) -> zipfile.ZipFile:
    """Return a zip that stays open in this process: its list of members is read once."""
    return zipfile.ZipFile(archive.path)


def _from_zip(archive: Archive, name: str) -> io.BytesIO:
    opened = _opened_zip(archive)
    _check_size(opened.getinfo(name).file_size)
    return io.BytesIO(opened.read(name))


def _tar_files(path: Path) -> Files:
    compressed = _opener(path) is not open
    with _opener(path)(path, "rb") as file, tarfile.open(fileobj=_Headers(file), mode="r:") as archive:
        members = list(_tar_members(archive))
    known = Archive(path, path.stat().st_mtime_ns)
    read = _from_compressed_tar if compressed else _from_tar
    return archive_files(path, members, lambda place: functools.partial(read, known, place), in_order=compressed)


class _Headers:
    """A file of which no more is read at once than headers have: a tar may state any length of them.

    Args:
        file: open for reading.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int) -> bytes:
        """Read as a file does."""
        if count > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {count:,} bytes, at most {MAX_HEADER_BYTES:,} are read")
        return self._file.read(count)


def _tar_members(archive: tarfile.TarFile) -> Iterator[tuple[str, Place | None]]:
    """Yield name and place of what a tar holds; a link has the place of what it points at."""
    places: dict[str, Place] = {}
    links: list[tuple[str, str]] = []
    for member in archive:
        name = posixpath.normpath(member.name)
        if member.isdir():
            yield name, None
        elif member.islnk() or member.issym():
            links.append((name, _resolved(name if member.issym() else "", member.linkname)))
        elif member.isreg() and not member.issparse():
            places[name] = Place(member.offset_data, member.size)
            yield name, places[name]
    for name, target in links:
        yield name, places.get(target, Place(0, 0))  # one that points outside is reported where it is read


def _opener(path: Path) -> Any:
    with path.open("rb") as file:
        head = file.read(8)
    return next((opened for magic, opened in COMPRESSED.items() if head.startswith(magic)), open)


@functools.lru_cache(maxsize=1)
def _opened_stream(archive: Archive) -> IO[bytes]:
    """Return a compressed tar that stays open in this process, which decompresses it once, from start to end."""
    return _opener(archive.path)(archive.path, "rb")


def _from_compressed_tar(archive: Archive, place: Place) -> io.BytesIO:
    return _slice(_opened_stream(archive), place)


def _from_tar(archive: Archive, place: Place) -> io.BytesIO:
    with archive.path.open("rb") as file:
        return _slice(file, place)


def _slice(file: IO[bytes], place: Place) -> io.BytesIO:
    _check_size(place.size)
    file.seek(place.start)
    return io.BytesIO(file.read(place.size))


def _check_size(size: int) -> None:
    if size > MAX_MEMBER_BYTES:
        raise ValueError(f"{size:,} bytes, at most {MAX_MEMBER_BYTES:,} are read")
