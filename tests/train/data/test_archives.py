"""Archives and links: names, damage, what cannot be read in place, and the same bytes as from a folder."""

import hashlib
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.refusals import refused
from tests.train.data.images import contents, prepare
from tests.train.data.trees import IMAGES, Tree, by_class, folder, opened, tarred, zipped
from train.data.image import BadImageError
from train.data.sources import archives
from train.errors import DataError

CLASSES: Tree = {"dog/b.png": 1, "dog/a.png": 2, "cat/x.png": 3}


def test_the_listing_of_class_folders_is_that_of_sets_made_before(tmp_path: Path) -> None:
    """Paths as they were hashed when a folder was all that could be read."""
    paths, labels = b"cat/x.png\0dog/a.png\0dog/b.png", np.array([0, 1, 1], np.int64)
    expected = hashlib.sha256(paths + labels.tobytes()).hexdigest()
    assert opened(folder(tmp_path / "it", CLASSES)).listing == expected
    assert opened(tarred(tmp_path / "it", CLASSES)).listing == expected


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_archives_give_the_bytes_of_the_folder(tmp_path: Path, workers: int) -> None:
    """Of a tar too, whose order is here that of the folder."""
    count = 3 if workers == 1 else 150  # more than a chunk a worker
    tree: Tree = {f"{name}/{i:03}.png": 1 + i % 9 for name in ("cat", "dog") for i in range(count)}
    tree["dog/002.png"] = IMAGES[3][:50]
    made = []
    for number, make in enumerate((folder, zipped, lambda path, files: tarred(path, files, "xz"))):
        path, out = make(tmp_path / "it", tree), tmp_path / f"{number}"
        line = ("--source", f"imagefolder:{path}", "--resolution", 4, "--min-side", 1, "--out", out)
        status, said, err = prepare(*line, "--workers", workers if number else 1)
        assert status == 0, err
        assert "skipped 1 (1 truncated), the first dog/002.png: " in said
        made.append(contents(out))
    for name in ("images.npy", "labels.npy", "skipped.tsv"):
        assert made[0][name] == made[1][name] == made[2][name]


def test_items_of_archives_are_small_when_they_are_sent_to_workers(tmp_path: Path) -> None:
    for path in (zipped(tmp_path / "it", CLASSES), tarred(tmp_path / "it", CLASSES, "bz2")):
        item = opened(path).items(np.array([1]))[0]
        sent = pickle.dumps(item)
        assert len(sent) < 1000
        assert pickle.loads(sent).load().getpixel((0, 0)) == (2, 4, 0)


def test_names_in_zips_as_their_makers_saw_them(tmp_path: Path) -> None:
    """UTF-8 without the flag, as macOS writes it, and backslashes, as some of Windows' programs do."""
    path = tmp_path / "it.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("caf__/a.png", IMAGES[1])
        windows = zipfile.ZipInfo("dog\\b.png")
        windows.create_system = 0
        archive.writestr(windows, IMAGES[2])
        archive.writestr("🐶/c.png", IMAGES[3])  # with the flag
        archive.writestr("a\\b/d.png", IMAGES[4])  # from a system where that is one name
    path.write_bytes(path.read_bytes().replace(b"caf__", "café".encode()))
    assert by_class(opened(path)) == {"a\\b": [4], "café": [1], "dog": [2], "🐶": [3]}


def test_links_in_tars_are_what_they_point_at(tmp_path: Path) -> None:
    path = tarred(tmp_path / "it", CLASSES)
    with tarfile.open(path, "a") as archive:
        for name, kind, target in (
            ("cat/hard.png", tarfile.LNKTYPE, "dog/b.png"),
            ("cat/soft.png", tarfile.SYMTYPE, "../dog/a.png"),
            ("cat/away.png", tarfile.SYMTYPE, "/etc/passwd"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    source = opened(path)
    items = {item.name: item for item in source.items(np.arange(len(source.labels)))}
    assert list(items) == ["cat/away.png", "cat/hard.png", "cat/soft.png", "cat/x.png", "dog/a.png", "dog/b.png"]
    assert [items[f"cat/{name}.png"].load().getpixel((0, 0))[0] for name in ("hard", "soft")] == [1, 2]
    with pytest.raises(BadImageError, match="unreadable"):
        items["cat/away.png"].load()


def test_symbolic_links_in_zips_are_what_they_point_at(tmp_path: Path) -> None:
    path = zipped(tmp_path / "it", CLASSES)
    with zipfile.ZipFile(path, "a") as archive:
        for name, target in (
            ("cat/soft.png", "../dog/a.png"),
            ("cat/away.png", "/etc/passwd"),
            ("cat/dir.png", "../dog"),
        ):
            member = zipfile.ZipInfo(name)
            member.create_system, member.external_attr = 3, 0o120777 << 16
            archive.writestr(member, target)
    source = opened(path)
    items = {item.name: item for item in source.items(np.arange(len(source.labels)))}
    assert items["cat/soft.png"].load().getpixel((0, 0))[0] == CLASSES["dog/a.png"]
    for name in ("away", "dir"):
        with pytest.raises(BadImageError, match="unreadable"):
            items[f"cat/{name}.png"].load()


def test_a_tar_that_states_long_names_is_refused_before_room_is_made_for_them(tmp_path: Path) -> None:
    name = tarfile.TarInfo("long")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    path = tmp_path / "it.tar"
    path.write_bytes(name.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    refused(lambda: opened(path), "a header of 8,589,934,592 bytes", by=DataError)


def test_no_member_reaches_outside(tmp_path: Path) -> None:
    """Names that climb are taken for names below; nothing is written anywhere."""
    path = tarred(tmp_path / "it", {"../../dog/a.png": 1, "/cat/b.png": 2})
    assert by_class(opened(path)) == {"cat": [2], "dog": [1]}
    assert sorted(tmp_path.iterdir()) == [path]


def test_damage_is_named(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole", CLASSES)
    content = whole.read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[:-30])
    refused(
        lambda: opened(tmp_path / "cut.zip"), "cut.zip is no folder and no whole zip or tar; unpack it", by=DataError
    )
    compressed = tarred(tmp_path / "it", CLASSES, "gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(compressed[: len(compressed) // 2])
    refused(lambda: opened(tmp_path / "cut.tar.gz"), "cut.tar.gz is no folder and no whole zip or tar", by=DataError)
    (tmp_path / "x.rar").write_bytes(b"Rar!\x1a\7\0" + bytes(600))
    refused(lambda: opened(tmp_path / "x.rar"), "x.rar is no folder and no whole zip or tar", by=DataError)
    source = opened(whole)
    start = content.index(b"dog/b.png") + 20
    whole.write_bytes(content[:start] + bytes(10) + content[start + 10 :])
    os.utime(whole, ns=(1, 1))
    damaged = opened(whole).items(np.array([2]))[0]
    with pytest.raises(BadImageError, match="unreadable"):
        damaged.load()
    whole.unlink()
    with pytest.raises(BadImageError, match="No such file"):
        source.items(np.array([0]))[0].load()


@pytest.mark.parametrize(
    ("local", "directory", "value", "message"),
    [
        (6, 8, 1, "it.zip: 3 files are encrypted, the first dog/b.png; unpack it and give the folder"),
        (8, 10, 9, "it.zip: dog/b.png is compressed by method 9, which Python does not read; unpack it"),
    ],
    ids=["encrypted", "Deflate64"],
)
def test_zips_that_have_to_be_unpacked(tmp_path: Path, local: int, directory: int, value: int, message: str) -> None:
    """Patched headers, for Python writes neither; Windows' Explorer writes Deflate64 into large zips."""
    path = zipped(tmp_path / "it", CLASSES)
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\3\4", local), (b"PK\1\2", directory)):
        start = content.find(signature)
        while start >= 0:
            content[start + place] = value
            start = content.find(signature, start + 1)
    path.write_bytes(content)
    refused(lambda: opened(path), message, by=DataError)


def test_class_files_of_a_compressed_tar_are_read_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts, read = [], archives._slice
    monkeypatch.setattr(archives, "_slice", lambda file, place: starts.append(place.start) or read(file, place))
    tree: Tree = {"b.cls": "x", "a.png": 1, "a.cls": "y", "b.png": 2, "c.png": 3, "c.cls": "x"}
    assert by_class(opened(tarred(tmp_path / "it", tree, "gz"))) == {"x": [2, 3], "y": [1]}
    assert starts[:3] == sorted(starts[:3])  # each step back would decompress the archive from its start


def test_members_too_large_for_memory_are_bad_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 10)
    for path in (zipped(tmp_path / "it", CLASSES), tarred(tmp_path / "it", CLASSES)):
        with pytest.raises(BadImageError, match="at most 10 are read"):
            opened(path).items(np.array([0]))[0].load()


def test_links_that_lead_in_a_circle_end(tmp_path: Path) -> None:
    root = folder(tmp_path / "it", CLASSES)
    (root / "dog" / "up").symlink_to("..", target_is_directory=True)
    (root / "dog" / "deep").mkdir()
    (root / "dog" / "deep" / "again").symlink_to("..", target_is_directory=True)
    (root / "cat" / "other").symlink_to(root / "dog" / "b.png")
    (root / "cat" / "nothing").symlink_to("absent.png")
    (root / "cat" / "round").symlink_to("round")
    (root / "cow").symlink_to(folder(tmp_path / "cow", {"a.png": 4}), target_is_directory=True)
    os.mkfifo(root / "cow" / "pipe.png")
    (root / "cow" / "to_pipe.png").symlink_to("pipe.png")
    source = opened(root)
    names = [item.name for item in source.items(np.arange(len(source.labels)))]
    assert names == ["cat/nothing", "cat/other", "cat/round", "cat/x.png", "cow/a.png", "dog/a.png", "dog/b.png"]
    with pytest.raises(BadImageError, match="unreadable: Too many levels"):
        source.items(np.array([2]))[0].load()


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, scandir = folder(tmp_path / "it", CLASSES), os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("dog/"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    refused(lambda: opened(root), "it/dog/ cannot be listed (Permission denied)", by=DataError)


def test_home_is_where_a_path_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder(tmp_path / "it", CLASSES)
    assert by_class(opened("~/it/")) == {"cat": [3], "dog": [2, 1]}
    (tmp_path / "of.csv").write_text("file,label\nx.png,a\na.png,b\nb.png,a\n")
    assert by_class(opened("~/it", labels="~/of.csv")) == {"a": [3, 1], "b": [2]}
