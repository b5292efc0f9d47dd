"""Saving and loading in folders: what comes back is what was saved."""

from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file

from sngan_cond import Generator, GeneratorConfig, sample
from sngan_cond.hub.files import PretrainedError
from sngan_cond.loading import load_generator
from tests.hub.folders import CONFIG, METRICS, make
from tests.refusals import refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        GeneratorConfig(resolution=64, channels=2, num_classes=0, latent_dim=5, latent="uniform"),
        GeneratorConfig(architecture="cnn", resolution=32, channels=4, num_classes=2, latent_dim=6),
        GeneratorConfig(architecture="mnist", resolution=28, channels=4, num_classes=0, latent_dim=6),
    ],
    ids=["resnet", "unconditional", "cnn", "mnist"],
)
def test_what_was_saved_is_loaded(config: GeneratorConfig, tmp_path: Path) -> None:
    G = make(config)
    G.save_pretrained(tmp_path / "model")
    loaded = Generator.from_pretrained(tmp_path / "model")
    assert loaded.config == config
    assert not loaded.training
    assert all(parameter.requires_grad and parameter.device.type == "cpu" for parameter in loaded.parameters())
    assert loaded.state_dict().keys() == G.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(G.state_dict().values(), loaded.state_dict().values(), strict=True))
    choice: dict[str, Any] = {"classes": [1, 0]} if config.num_classes else {"n": 2}
    assert torch.equal(sample(G, **choice, seed=3), sample(loaded, **choice, seed=3))


def test_saving_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    Generator.from_pretrained(folder).save_pretrained(tmp_path / "again" / "model")
    for path in folder.iterdir():
        assert (tmp_path / "again" / "model" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_saved_in_full_and_comes_back(tmp_path: Path, dtype: torch.dtype) -> None:
    half = make().to(dtype)
    half.save_pretrained(tmp_path / "m")
    loaded = Generator.from_pretrained(tmp_path / "m")
    for (name, saved), (_, found) in zip(half.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert found.dtype == (torch.float32 if saved.is_floating_point() else saved.dtype)
        assert torch.equal(found.to(saved.dtype), saved), name


def test_a_loaded_generator_trains_without_touching_its_file(folder: Path) -> None:
    before = (folder / "model.safetensors").read_bytes()
    G = Generator.from_pretrained(folder)
    with torch.no_grad():
        for parameter in G.parameters():
            parameter.add_(1.0)
    assert (folder / "model.safetensors").read_bytes() == before


def test_everything_known_about_a_model_comes_with_it(tmp_path: Path) -> None:
    (tmp_path / "grid.png").write_bytes(b"an image")
    training = {"step": 12, "images_seen": 34}
    make().save_pretrained(
        tmp_path / "m",
        metrics=METRICS,
        training=training,
        samples=tmp_path / "grid.png",
        discriminator=torch.nn.Linear(2, 1),
    )
    model = load_generator(str(tmp_path / "m"))
    assert (model.metrics, model.training, model.step) == (METRICS, training, 12)
    assert (model.source, model.commit_hash) == (str(tmp_path / "m"), None)
    assert model.samples is not None
    assert model.samples.read_bytes() == b"an image"
    assert load_file(tmp_path / "m" / "discriminator.safetensors").keys() == {"weight", "bias"}
    card = ModelCard(model.card or "")
    assert card.data.library_name == "sngan-cond"
    assert [(row.metric_value, row.metric_args["seed"]) for row in card.data.eval_results or []] == [(1.25, 7)]


def test_files_of_older_weights_go_when_new_ones_come(tmp_path: Path) -> None:
    (tmp_path / "grid.png").write_bytes(b"an image")
    older: dict[str, Any] = {"metrics": METRICS, "training": {"step": 1}, "samples": tmp_path / "grid.png"}
    make().save_pretrained(tmp_path / "m", **older, discriminator=torch.nn.Linear(2, 1))
    assert len(list((tmp_path / "m").iterdir())) == 7
    (tmp_path / "m" / "notes.txt").write_text("mine")
    make().save_pretrained(tmp_path / "m")
    assert {path.name for path in (tmp_path / "m").iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
        "notes.txt",
    }


@pytest.mark.parametrize("existing", [True, False])
def test_a_save_that_fails_leaves_what_was_there(
    tmp_path: Path, existing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if existing:
        make().save_pretrained(tmp_path / "m")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sngan_cond.hub.pretrained.save_file", full)
    refused(lambda: make().save_pretrained(tmp_path / "m"), "cannot be written (No space left", by=PretrainedError)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == (["m"] if existing else [])


def test_what_could_not_be_read_again_is_not_saved(tmp_path: Path) -> None:
    make().save_pretrained(tmp_path / "m", training={"step": 1, "loss": float("nan")})
    assert load_generator(tmp_path / "m").training == {"step": 1, "loss": None}  # JSON has no name for it
    refused(
        lambda: make().save_pretrained(tmp_path / "n", training={"id": 2**80}),
        "training.json: cannot be read as JSON (an integer of more than 20 digits)",
        by=PretrainedError,
    )
    assert not (tmp_path / "n").exists()


def test_a_constrained_generator_is_not_saved_as_a_plain_one(tmp_path: Path) -> None:
    G = make()
    torch.nn.utils.parametrizations.weight_norm(next(m for m in G.modules() if isinstance(m, torch.nn.Linear)))
    refused(lambda: G.save_pretrained(tmp_path / "m"), "fold or remove", by=PretrainedError)
    assert not (tmp_path / "m").exists()
