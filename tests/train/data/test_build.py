"""Building: the same bytes whatever the workers and the interruptions, gaps, choice, faults of the disk."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.train.data.images import arguments, contents, flawed_pictures, picture, prepare, run
from train.data import build as building
from train.data.build import select
from train.data.dataset import PreparedDataset
from train.data.finish import gap_moves
from train.data.partial import npy_header


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "CHUNK_IMAGES", 8)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return flawed_pictures(tmp_path / "pictures")


def test_bad_pictures_are_named_counted_and_left_out(pictures: Path, tmp_path: Path) -> None:
    (pictures / "cat" / "notes.txt").touch()
    status, said, err = prepare(*arguments(pictures, tmp_path / "out", workers=1))
    assert status == 0
    assert "skipped 4 (2 unreadable, 1 truncated, 1 too_small), the first ant/004.jpg: " in said
    assert "1 files without a picture's suffix were left out" in err
    dataset = PreparedDataset.open(tmp_path / "out", verify=True)
    assert dataset.info.images_per_class == [19, 14, 7]
    assert dataset.info.skipped["by_reason"] == {"unreadable": 2, "truncated": 1, "too_small": 1}
    assert [image["file"] for image in dataset.info.skipped["examples"]] == [
        "ant/004.jpg",
        "bee/empty.jpg",
        "bee/narrow.png",
        "cat/zzz.jpg",
    ]
    listed = (tmp_path / "out" / "skipped.tsv").read_text().splitlines()
    assert listed[0] == "file\treason\tdetail"
    assert listed[3] == "bee/narrow.png\ttoo_small\t9x30 px, allowed is 16 px a side or more"


def test_every_picture_that_is_left_is_there_once_with_its_label(pictures: Path, tmp_path: Path) -> None:
    """Against a set made without the bad files: the same pictures and labels, in another order."""
    prepare(*arguments(pictures, tmp_path / "gaps", workers=1))
    for bad in ("ant/004.jpg", "bee/empty.jpg", "bee/narrow.png", "cat/zzz.jpg"):
        (pictures / bad).unlink()
    prepare(*arguments(pictures, tmp_path / "clean", workers=1))
    gaps, clean = (PreparedDataset.open(tmp_path / name) for name in ("gaps", "clean"))

    def rows(dataset: PreparedDataset) -> list[tuple[int, bytes]]:
        return sorted((int(y), x.tobytes()) for x, y in zip(dataset.images, dataset.labels, strict=True))

    assert rows(gaps) == rows(clean)
    assert len(set(rows(clean))) == 40


@pytest.mark.parametrize(
    ("total", "bad"),
    [(10, []), (10, [9]), (10, [0]), (10, [0, 9]), (10, [8, 9]), (10, [1, 2, 7]), (3, [0, 1]), (5, [0, 2, 4])],
)
def test_gaps_are_filled_from_the_end_and_may_be_filled_twice(total: int, bad: list[int]) -> None:
    moves, kept = gap_moves(total, bad)
    rows = np.arange(total)
    for _ in range(2):
        for origin, gap in moves:
            rows[gap] = rows[origin]
    assert kept == total - len(bad)
    assert sorted(rows[:kept].tolist()) == sorted(set(range(total)) - set(bad))


def test_headers_have_one_length_whatever_the_count() -> None:
    lengths = {len(npy_header(count, side)) for count in (1, 10, 1_281_167, 10**9) for side in (32, 128)}
    assert lengths == {128}


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(pictures: Path, tmp_path: Path) -> None:
    for workers in (1, 2, 3):
        done = run(*arguments(pictures, tmp_path / f"out{workers}", workers=workers))
        assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "out1") == contents(tmp_path / "out2") == contents(tmp_path / "out3")


@pytest.mark.usefixtures("small_chunks")
def test_fail_stops_at_the_first_bad_picture_and_goes_on_once_it_is_mended(pictures: Path, tmp_path: Path) -> None:
    line = arguments(pictures, tmp_path / "out", workers=1, on_bad_image="fail")
    status, _, err = prepare(*line)
    assert status == 2
    assert "error: ant/004.jpg: truncated (" in err
    assert err.count("\n") == 0
    assert not (tmp_path / "out").exists()
    for bad in ("ant/004.jpg", "bee/empty.jpg", "bee/narrow.png", "cat/zzz.jpg"):
        picture(3, 20, 20).save(pictures / bad)
    assert prepare(*line)[0] == 0
    assert len(PreparedDataset.open(tmp_path / "out")) == 44


def test_another_command_does_not_mix_into_a_begun_or_finished_folder(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(building, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        prepare(*arguments(pictures, out, workers=1))
    status, _, err = prepare(*arguments(pictures, out, filter="lanczos"))
    assert (status, "out.partial was begun with filter 'bilinear', not 'lanczos'" in err) == (2, True)
    assert prepare(*arguments(pictures, out, workers=1))[0] == 0
    before = contents(out)
    status, said, _ = prepare(*arguments(pictures, out), "--verify")
    assert (status, "was there already" in said) == (0, True)
    status, _, err = prepare(*arguments(pictures, out, crop="none"))
    assert (status, "was prepared with crop 'center', not 'none'" in err) == (2, True)
    renamed = min((pictures / "cat").iterdir())
    renamed.rename(renamed.with_stem("renamed"))
    status, _, err = prepare(*arguments(pictures, out))
    assert (status, "was prepared with listing_sha256" in err) == (2, True)
    renamed.with_stem("renamed").rename(renamed)
    picture(8, 30, 30).save(pictures / "cat" / "new.png")
    status, _, err = prepare(*arguments(pictures, out))
    assert (status, "was prepared with pictures_listed 44, not 45" in err) == (2, True)
    assert contents(out) == before


def test_a_class_that_loses_all_its_pictures_is_an_error_that_leaves_nothing(pictures: Path, tmp_path: Path) -> None:
    for path in (pictures / "cat").iterdir():
        path.write_text("no picture")
    status, _, err = prepare(*arguments(pictures, tmp_path / "out", workers=1))
    assert status == 2
    assert "no usable picture is left in class 'cat'; skipped 9 unreadable, 1 truncated, 1 too_small, the first " in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures"]
    status, _, err = prepare(*arguments(pictures, tmp_path / "out", workers=1, min_side=500), "--unlabelled")
    assert (status, "no usable picture is left in the source" in err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures"]


def test_a_limit_takes_classes_by_turns() -> None:
    labels = np.array([0] * 10 + [1] * 2 + [2] * 5)
    assert select(labels, None).tolist() == list(range(17))
    assert select(labels, 3).tolist() == [0, 10, 12]
    assert np.bincount(labels[select(labels, 11)]).tolist() == [5, 2, 4]
    assert select(labels, 99).tolist() == list(range(17))
    shuffled = np.array([2, 0, 1, 0, 2, 1])
    assert select(shuffled, 4).tolist() == [0, 1, 2, 3]


def test_dataset_json_says_how_it_was_made(pictures: Path, tmp_path: Path) -> None:
    prepare(*arguments(pictures, tmp_path / "out", workers=1, limit=9, filter="lanczos"))
    info = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert info["source"] == f"imagefolder:{pictures}"
    assert info["images_per_class"] == [3, 3, 3]
    assert {name: info["preparation"][name] for name in ("crop", "fit", "filter", "limit", "min_side_px")} == {
        "crop": "center",
        "fit": "resize",
        "filter": "lanczos",
        "limit": 9,
        "min_side_px": 16,
    }
