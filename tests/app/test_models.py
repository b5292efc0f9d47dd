"""What the store of models opens, and what it refuses without telling paths."""

import threading
from pathlib import Path

import pytest

from app.engine import choose_device
from app.limits import InvalidRequest
from app.models import Model, ModelStore
from app.service import Service
from tests.app.models import damage as make_damage
from tests.app.models import save_tiny
from tests.refusals import refused


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../tiny", ".", "http://127.0.0.1/x", "bob/toy", "alice", "alice/toy/x", "bundled", "~/x", "\0"],
)
def test_only_what_is_offered_is_opened(tiny: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.parent)
    store = ModelStore([str(tiny)], allow_repos=["alice/*"])
    assert store.open("").name == "tiny"
    with pytest.raises(InvalidRequest, match=r"is not offered here: choose one of tiny, or a Hub repo like alice/\*"):
        store.open(name)


def test_a_repo_never_means_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny(tmp_path / "alice" / "secret")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    store = ModelStore([str(save_tiny(tmp_path / "public"))], allow_repos=["*"])
    refused(lambda: store.open("alice/secret"), "alice/secret", by=InvalidRequest)


def test_a_folder_has_no_revision(tiny: Path) -> None:
    store = ModelStore([str(tiny)])
    refused(lambda: store.open("tiny", "main"), "'tiny' is a folder, which has none", by=InvalidRequest)
    refused(lambda: store.open("tiny@a", "b"), "give it once", by=InvalidRequest)


def test_revisions_are_asked_for_where_anything_can_have_one(tiny: Path) -> None:
    assert not ModelStore([str(tiny), "bundled"]).has_repos
    assert ModelStore([str(tiny), "alice/toy"]).has_repos
    assert ModelStore([str(tiny)], allow_repos=["alice/*"]).has_repos


def test_the_last_few_models_stay_open(tmp_path: Path) -> None:
    folders = [str(save_tiny(tmp_path / name, seed)) for seed, name in enumerate("abc")]
    store = ModelStore(folders, capacity=2)
    a, b = store.open("a"), store.open("b")
    assert store.open("a") is a
    store.open("c")  # b was used longest ago
    assert store.open("a") is a
    assert store.open("b") is not b


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    folders = [str(save_tiny(tmp_path / name / "model")) for name in "ab"]
    refused(lambda: ModelStore(folders), "another model is already called 'model'")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("huge", "channels"),
        ("foreign", "not of sngan-cond"),
        ("lying", "model.safetensors"),
        ("pickle", "safetensors"),
        (
            "NaN",
            r"weight network\.norm\.running_mean holds NaN or infinity in float32: 2 of its 4 values are not finite",
        ),
        ("metrics.json", "metrics.json: cannot be read as JSON"),
        ("training.json", "training.json: a JSON object is expected"),
        ("README.md", "README.md: cannot be read as text"),
    ],
)
def test_damaged_models_are_refused_without_a_path(tmp_path: Path, damage: str, message: str) -> None:
    folder = save_tiny(tmp_path / "toy")
    make_damage(folder, damage)
    service = Service([str(folder)], device="cpu")
    with pytest.raises(InvalidRequest, match=message) as error:
        service.open("toy")
    assert str(tmp_path) not in str(error.value)
    assert str(tmp_path.parent) not in str(error.value)


def test_a_model_at_hand_does_not_wait_for_its_own_reopening(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ModelStore([str(tiny)])
    first = store.open()
    entered, go_on = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> Model:
        entered.set()
        assert go_on.wait(20)
        return first

    monkeypatch.setattr("app.models.read_model", slow)
    reopening = threading.Thread(target=store.open, kwargs={"again": True})
    reopening.start()
    try:
        assert entered.wait(20)
        assert store.open() is first  # would stand still here
    finally:
        go_on.set()
        reopening.join(20)


def test_weights_larger_than_the_limit_are_not_read(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from app import models as opening

    monkeypatch.setattr(opening, "LIMITS", replace(opening.LIMITS, model_bytes=1000))
    with pytest.raises(InvalidRequest, match=r"model\.safetensors has [0-9,]+ bytes, at most 1,000 are read"):
        ModelStore([str(tiny)]).open()


@pytest.mark.parametrize("name", ["tpu", "cpu:0", "cuda:99", "cuda:x", "mps", "mps:0"])
def test_a_device_that_is_none(name: str) -> None:
    refused(lambda: choose_device(name), "device=")
