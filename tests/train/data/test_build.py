"""Building: the same bytes whatever the workers, what is left out, choice, and what is refused."""

import io
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from tests.train.data.images import arguments, contents, image_folder, prepare, refusal, run, smooth_image
from train.data import build as building
from train.data.build import select
from train.data.dataset import PreparedDataset
from train.data.partial import HEADER_BYTES


def test_bad_images_are_named_counted_and_left_out(source: Path, tmp_path: Path) -> None:
    (source / "cat" / "notes.txt").touch()
    status, said, err = prepare(*arguments(source, tmp_path / "out"))
    assert status == 0
    assert "skipped 4 (2 unreadable, 1 truncated, 1 too_small), the first ant/004.jpg: " in said
    assert "left out: 1 .txt in cat" in err
    dataset = PreparedDataset.open(tmp_path / "out", verify=True)
    assert dataset.info.images_per_class == [19, 14, 7]
    assert dataset.info.skipped["by_reason"] == {"unreadable": 2, "truncated": 1, "too_small": 1, "too_large": 0}
    assert [image["file"] for image in dataset.info.skipped["examples"]] == [
        "ant/004.jpg",
        "bee/empty.jpg",
        "bee/narrow.png",
        "cat/zzz.jpg",
    ]
    listed = (tmp_path / "out" / "skipped.tsv").read_text().splitlines()
    assert listed[0] == "file\treason\tdetail"
    assert listed[3] == "bee/narrow.png\ttoo_small\t9x30 px, allowed is 16 px a side or more; --min-side 9 allows it"


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "bad",
    ["0", "39", "0 39", "7 8", "8 9 10 11 12 13 14 15", "1 2 7 20", " ".join(map(str, range(39)))],
    ids=["first", "last", "first and last", "two chunks", "a whole chunk", "some", "all but one"],
)
def test_bad_images_leave_the_others_in_their_order(tmp_path: Path, bad: str, workers: int) -> None:
    """Byte for byte as if the bad files had never been there."""
    root = image_folder(tmp_path / "images", {"ant": 40})
    files = sorted(root.rglob("*.jpg"))
    damaged = [files[int(i)] for i in bad.split()]
    for path in damaged:
        path.write_text("no image")
    assert prepare(*arguments(root, tmp_path / "some", workers=workers))[0] == 0
    for path in damaged:
        path.unlink()
    assert prepare(*arguments(root, tmp_path / "all"))[0] == 0
    some, rest = contents(tmp_path / "some"), contents(tmp_path / "all")
    assert (some["images.npy"], some["labels.npy"]) == (rest["images.npy"], rest["labels.npy"])
    assert some["skipped.tsv"].count(b"\n") == 1 + len(damaged)


def test_every_label_stays_with_its_image(source: Path, tmp_path: Path) -> None:
    """Against a set made without the bad files: 40 different images of three classes."""
    prepare(*arguments(source, tmp_path / "flawed"))
    for bad in ("ant/004.jpg", "bee/empty.jpg", "bee/narrow.png", "cat/zzz.jpg"):
        (source / bad).unlink()
    prepare(*arguments(source, tmp_path / "clean"))
    flawed, clean = (PreparedDataset.open(tmp_path / name) for name in ("flawed", "clean"))
    np.testing.assert_array_equal(flawed.images, clean.images)
    np.testing.assert_array_equal(flawed.labels, clean.labels)
    assert len({image.tobytes() for image in clean.images}) == 40


def test_headers_have_one_length_whatever_the_count() -> None:
    for count, side in itertools.product((1, 10, 1_281_167, 10**9), (32, 1024)):
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, side, side, 3)}
        np.lib.format.write_array_header_1_0(written := io.BytesIO(), header)
        assert len(written.getvalue()) == HEADER_BYTES


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(source: Path, tmp_path: Path) -> None:
    image_folder(source / "more", {"ant": 400})  # several chunks
    for workers in (1, 2, 3):
        run(*arguments(source, tmp_path / f"out{workers}", workers=workers))
    assert contents(tmp_path / "out1") == contents(tmp_path / "out2") == contents(tmp_path / "out3")


@pytest.mark.usefixtures("small_chunks")
def test_fail_stops_at_the_first_bad_image_and_goes_on_once_it_is_mended(source: Path, tmp_path: Path) -> None:
    line = arguments(source, tmp_path / "out", on_bad_image="fail")
    assert refusal(*line).startswith("ant/004.jpg: truncated (")
    assert not (tmp_path / "out").exists()
    for bad in ("ant/004.jpg", "bee/empty.jpg", "bee/narrow.png", "cat/zzz.jpg"):
        smooth_image(3, 20, 20).save(source / bad)
    assert prepare(*line)[0] == 0
    assert len(PreparedDataset.open(tmp_path / "out")) == 44


def test_another_command_does_not_mix_into_a_begun_or_finished_folder(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(building, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        prepare(*arguments(source, out))
    assert "out.partial was begun with filter 'bilinear', not 'lanczos'" in refusal(
        *arguments(source, out, filter="lanczos")
    )
    assert prepare(*arguments(source, out))[0] == 0
    before = contents(out)
    status, said, _ = prepare(*arguments(source, out), "--verify")
    assert (status, "was there already" in said) == (0, True)
    assert "was prepared with crop 'center', not 'none'" in refusal(*arguments(source, out, crop="none"))
    renamed = min((source / "cat").iterdir())
    renamed.rename(renamed.with_stem("renamed"))
    assert "was prepared with listing_sha256" in refusal(*arguments(source, out))
    renamed.with_stem("renamed").rename(renamed)
    smooth_image(8, 30, 30).save(source / "cat" / "new.png")
    assert "was prepared with pictures_listed 44, not 45" in refusal(*arguments(source, out))
    assert contents(out) == before


def test_a_set_made_before_profiles_were_read_is_one_that_ignored_them(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "heif_version", lambda: None)
    line = arguments(source, tmp_path / "out", colour_profile="ignore")
    assert prepare(*line)[0] == 0
    path = tmp_path / "out" / "dataset.json"
    info = json.loads(path.read_text())
    for name in ("colour_profile", "max_pixels", "pillow_heif"):
        del info["preparation"][name]
    del info["skipped"]["by_reason"]["too_large"]
    path.write_text(json.dumps(info))
    status, said, _ = prepare(*line)
    assert (status, "was there already" in said) == (0, True)
    said = refusal(*arguments(source, tmp_path / "out"))
    assert "was prepared with colour_profile 'ignore', not 'convert'; choose another name" in said
    assert "max_pixels 178956970, not 400" in refusal(*line, "--max-pixels", 400)
    monkeypatch.setattr(building, "heif_version", lambda: "1.0")
    assert "was prepared with pillow_heif None, not '1.0'" in refusal(*line)


def test_how_files_are_read_is_no_part_of_images_that_are_not(tmp_path: Path) -> None:
    line = ["--source", "shapes", "--resolution", 8, "--limit", 10, "--workers", 1, "--out", tmp_path / "out"]
    assert prepare(*line)[0] == 0
    assert "colour_profile" not in json.loads((tmp_path / "out" / "dataset.json").read_text())["preparation"]
    assert "was there already" in prepare(*line, "--colour-profile", "ignore")[1]


def test_a_class_that_loses_all_its_images_is_an_error_that_leaves_nothing(source: Path, tmp_path: Path) -> None:
    for path in (source / "cat").iterdir():
        path.write_text("no image")
    said = refusal(*arguments(source, tmp_path / "out"))
    assert "no usable image is left in class 'cat'; skipped 9 unreadable, 1 truncated, 1 too_small, the first " in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]
    said = refusal(*arguments(source, tmp_path / "out", min_side=500), "--unlabelled")
    assert "no usable image is left in the source" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_a_limit_takes_classes_by_turns() -> None:
    labels = np.array([0] * 10 + [1] * 2 + [2] * 5)
    assert select(labels, None).tolist() == list(range(17))
    assert select(labels, 3).tolist() == [0, 10, 12]
    assert np.bincount(labels[select(labels, 11)]).tolist() == [5, 2, 4]
    assert select(labels, 99).tolist() == list(range(17))
    shuffled = np.array([2, 0, 1, 0, 2, 1])
    assert select(shuffled, 4).tolist() == [0, 1, 2, 3]


def test_dataset_json_says_how_it_was_made(source: Path, tmp_path: Path) -> None:
    prepare(*arguments(source, tmp_path / "out", limit=9, filter="lanczos"))
    info = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert info["source"] == f"imagefolder:{source}"
    assert info["images_per_class"] == [3, 3, 3]
    assert {name: info["preparation"][name] for name in ("crop", "fit", "filter", "limit", "min_side_px")} == {
        "crop": "center",
        "fit": "resize",
        "filter": "lanczos",
        "limit": 9,
        "min_side_px": 16,
    }
