import socket
import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from train.run.trackers import TensorBoardFile, send_image

IMAGE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize(("name", "logged_at"), [("wandb", 20), ("trackio", 10)])
def test_an_image_comes_in_the_trackers_own_form(name: str, logged_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B keeps nothing for a step before the last one that was logged; Trackio does."""
    sent: list[tuple[object, int]] = []
    module = SimpleNamespace(Image=lambda image, caption: (image.tolist(), caption))
    monkeypatch.setitem(sys.modules, name, module)
    tracker = SimpleNamespace(name=name, log=lambda values, step: sent.append((values, step)))
    send_image(tracker, "samples", IMAGE, step=10, now=20)  # type: ignore[arg-type]
    assert sent == [({"samples": (IMAGE.tolist(), "step 10")}, logged_at)]


def restarted(folder: Path, *starts: tuple[int, range]) -> list[Path]:
    """Log lines of several starts, each from a step on; returns the files."""
    for step, steps in starts:
        tracker = TensorBoardFile(folder)
        tracker.begin(step)
        tracker.store_init_configuration({"optim_g.lr": 0.5, "trackers": "[]"})
        for now in steps:
            tracker.log({"loss": step + now / 8, "rate": 1.0}, step=now)
        tracker.log_image("samples", IMAGE, step=step)
        tracker.finish()
    return sorted(folder.iterdir())


def test_starts_of_a_run_share_one_file_and_the_last_one_counts(tmp_path: Path) -> None:
    (file,) = restarted(tmp_path / "trackers/run", (0, range(1, 5)), (2, range(3, 8)), (7, range(8, 9)))
    events = EventAccumulator(str(file.parent)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [
        *((step, step / 8) for step in (1, 2)),
        *((step, 2 + step / 8) for step in (3, 4, 5, 6, 7)),
        (8, 8.0),
    ]
    assert [event.step for event in events.Images("samples")] == [0, 2, 7]
    with Image.open(BytesIO(events.Images("samples")[1].encoded_image_string)) as image:
        assert np.array_equal(np.asarray(image), IMAGE)
    assert b"optim_g.lr" in events.PluginTagToContent("hparams")["_hparams_/session_start_info"]


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_record_that_a_kill_cut_off_hides_none_behind_it(tmp_path: Path, cut: int) -> None:
    (file,) = restarted(tmp_path, (0, range(1, 3)))
    file.write_bytes(file.read_bytes()[:-cut])
    assert restarted(tmp_path, (2, range(3, 5))) == [file]
    assert [event.step for event in EventAccumulator(str(tmp_path)).Reload().Scalars("loss")] == [1, 2, 3, 4]


def test_a_damaged_file_is_left_for_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = restarted(tmp_path, (0, range(1, 3)))
    content = bytearray(file.read_bytes())
    content[2] ^= 1
    file.write_bytes(content)
    monkeypatch.setattr(
        socket, "gethostname", lambda: "zebra"
    )  # or else it may have the name of the first, in a second
    assert restarted(tmp_path, (2, range(3, 5)))[0] == file
    assert file.read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 2
