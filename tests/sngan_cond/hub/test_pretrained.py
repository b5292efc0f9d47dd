"""Saving and loading in folders: what comes back is what was saved."""

import errno
import hashlib
import json
import os
from pathlib import Path
from stat import S_IMODE
from typing import Any
from unittest import mock

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from sngan_cond import ConstraintConfig, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, sample
from sngan_cond.hub.download import locate
from sngan_cond.hub.files import PretrainedError
from sngan_cond.hub.weights import save_tensors
from sngan_cond.loading import load_generator
from sngan_cond.networks.rebuilding import config_text
from tests.hub.folders import CONFIG, METRICS, make, make_discriminator, rewrite
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
        discriminator=make_discriminator(),
    )
    model = load_generator(str(tmp_path / "m"))
    assert (model.metrics, model.training, model.step) == (METRICS, training, 12)
    assert (model.source, model.commit_hash) == (str(tmp_path / "m"), None)
    assert model.samples is not None
    assert model.samples.read_bytes() == b"an image"
    card = ModelCard(model.card or "")
    assert card.data.library_name == "sngan-cond"
    assert [(row.metric_value, row.metric_args["seed"]) for row in card.data.eval_results or []] == [(1.25, 7)]


def test_samples_that_are_not_there_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    words = "grid.png': no such file; a PNG is allowed"
    refused(lambda: make().save_pretrained(tmp_path / "m", samples=tmp_path / "grid.png"), words, by=PretrainedError)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        (None, {}, "save_directory=None: the path of a folder is allowed"),
        ("", {}, "save_directory='': the path of a folder"),
        ("m", {"discriminator": 3}, "discriminator=3: a Discriminator or None is allowed"),
        ("m", {"discriminator": DiscriminatorConfig()}, "discriminator=DiscriminatorConfig("),
        ("m", {"samples": 3}, "samples='3': no such file"),
        ("m", {"metrics": [1]}, "metrics.json: a JSON object is expected"),
    ],
)
def test_what_cannot_be_saved_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Any, options: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(lambda: make().save_pretrained(target, **options), words, by=PretrainedError)
    assert list(tmp_path.iterdir()) == []


def test_files_of_older_weights_go_when_new_ones_come(tmp_path: Path) -> None:
    (tmp_path / "grid.png").write_bytes(b"an image")
    older: dict[str, Any] = {"metrics": METRICS, "training": {"step": 1}, "samples": tmp_path / "grid.png"}
    make().save_pretrained(tmp_path / "m", **older, discriminator=make_discriminator())
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

    monkeypatch.setattr("sngan_cond.hub.weights.save_file", full)
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
    refused(
        lambda: make().save_pretrained(tmp_path / "n", metrics={"metrics": {0.5}}),
        "metrics.json: cannot be written as JSON (Object of type set",
        by=PretrainedError,
    )
    assert not (tmp_path / "n").exists()


def test_a_constrained_generator_is_not_saved_as_a_plain_one(tmp_path: Path) -> None:
    G = make()
    torch.nn.utils.parametrizations.weight_norm(next(m for m in G.modules() if isinstance(m, torch.nn.Linear)))
    refused(lambda: G.save_pretrained(tmp_path / "m"), "fold or remove", by=PretrainedError)
    assert not (tmp_path / "m").exists()


def test_half_as_large_and_nearly_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    G = Generator.from_pretrained("bundled")
    G.save_pretrained(tmp_path / "m", half=True, discriminator=make_discriminator())
    for name, kind in (("model", "running_var"), ("discriminator", "weight.0.u")):
        for key, tensor in load_file(tmp_path / "m" / f"{name}.safetensors").items():
            kept = tensor.dtype in (torch.float32, torch.int64)  # statistics and left vectors
            assert kept == (key.endswith(kind) or "running" in key or "num_batches" in key), key
    caplog.set_level("INFO", "sngan_cond")
    loaded = Generator.from_pretrained(tmp_path / "m")
    assert caplog.messages == [f"{tmp_path / 'm' / 'model.safetensors'}: weights of type F16, cast to float32"]
    assert loaded.dtype == torch.float32
    # Weights are off by up to 2^-12 of themselves: of 255 levels hardly a pixel moves by more than one.
    moved = sample(G, classes=list(range(10)), seed=1).int() - sample(loaded, classes=list(range(10)), seed=1).int()
    assert 0 < moved.abs().float().mean() < 0.2
    loaded.save_pretrained(tmp_path / "again", half=True)
    again, first = (load_file(tmp_path / folder / "model.safetensors") for folder in ("again", "m"))
    assert all(torch.equal(again[name], first[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_types_in_a_file_are_read(folder: Path, dtype: torch.dtype) -> None:
    G = Generator.from_pretrained(folder)
    rewrite(folder, lambda t: t.update({name: w.to(dtype) for name, w in t.items() if w.is_floating_point()}))
    loaded, kept = Generator.from_pretrained(folder), Generator.from_pretrained(folder, torch_dtype=dtype)
    assert (loaded.dtype, kept.dtype) == (torch.float32, dtype)
    for name, weight in G.state_dict().items():
        if weight.is_floating_point():
            assert torch.equal(loaded.state_dict()[name], weight.to(dtype).float()), name
            assert torch.equal(kept.state_dict()[name], weight.to(dtype)), name


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
@pytest.mark.parametrize("folder_mode", [0o700, 0o777])
def test_weights_have_the_mode_of_other_files(tmp_path: Path, umask: int, mode: int, folder_mode: int) -> None:
    """That the umask says, whoever may look into the folder; a file that is replaced keeps its own."""
    tmp_path.chmod(folder_mode)
    path = tmp_path / "weights.safetensors"
    before = os.umask(umask)
    try:
        (tmp_path / "other").touch()
        save_tensors({"a": torch.ones(2)}, path)
    finally:
        os.umask(before)
    assert S_IMODE(path.stat().st_mode) == S_IMODE((tmp_path / "other").stat().st_mode) == mode
    path.chmod(0o640)
    save_tensors({"a": torch.zeros(3)}, path)
    assert S_IMODE(path.stat().st_mode) == 0o640
    assert load_file(path)["a"].tolist() == [0, 0, 0]


def test_what_float16_does_not_hold_is_not_saved_as_such(tmp_path: Path) -> None:
    G = make()
    with torch.no_grad():
        G.network.linear.weight[3, 1] = 1e5
    words = "network.linear.weight holds NaN or infinity in float16"
    refused(lambda: G.save_pretrained(tmp_path / "m", half=True), words, by=PretrainedError)
    G.save_pretrained(tmp_path / "m")
    refused(lambda: Generator.from_pretrained(tmp_path / "m", torch_dtype=torch.float16), words, by=PretrainedError)


CONSTRAINTS = {
    "the official one": ConstraintConfig(),
    "none": ConstraintConfig(kind="none"),
    "a shared gamma": ConstraintConfig(gamma="shared", estimate="bidirectional", gamma_biases=True),
    "rows": ConstraintConfig(kind="weight", gamma="per_row", init="orthonormal"),
    "operators": ConstraintConfig(estimate="operator", features="batch", power_iterations_at="update"),
    "drawn factors": ConstraintConfig(scale=1.5, scale_spread=0.5, scale_seed=3, spectral_penalty=0.01),
    "clipping": ConstraintConfig(kind="none", singular_clip_every=5, features="layer", exclude=("head.linear",)),
}


@pytest.mark.parametrize("constraint", CONSTRAINTS.values(), ids=CONSTRAINTS)
def test_a_discriminator_comes_back_with_its_constraint(tmp_path: Path, constraint: ConstraintConfig) -> None:
    D = make_discriminator(constraint)
    D.save_pretrained(tmp_path / "d")
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["discriminator.safetensors"]
    before = torch.random.get_rng_state()
    with torch.device("meta"):  # as with a GPU for PyTorch's default, to which nothing must go
        loaded = Discriminator.from_pretrained(tmp_path / "d")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (loaded.config, loaded.constraint, loaded.training) == (D.config, constraint, False)
    _assert_equal(loaded.state_dict(), D.state_dict())
    # The first use in train mode moves what the constraint keeps, from the same start.
    x, results = torch.randn(4, 3, 32, 32), []
    for network in (D, loaded):
        score = network.train()(x, [1, 2, 0, 2]).score
        score.square().sum().backward()
        results.append({name: p.grad for name, p in network.named_parameters()} | network.state_dict() | {"": score})
    _assert_equal(*results)


def test_a_discriminator_is_described_by_its_run_where_its_file_says_nothing(tmp_path: Path) -> None:
    D = make_discriminator(ConstraintConfig(gamma="per_layer"))
    config = D.config.to_dict()
    shared = {key: config.pop(key) for key in ("resolution", "num_classes", "architecture")}
    training = {"step": 1, "config": shared | {"discriminator": config, "constraint": D.constraint.to_dict()}}
    make().save_pretrained(tmp_path / "m", discriminator=D, training=training)
    path = tmp_path / "m" / "discriminator.safetensors"
    save_file(load_file(path), path)
    loaded = Discriminator.from_pretrained(tmp_path / "m")
    assert (loaded.config, loaded.constraint) == (D.config, D.constraint)
    _assert_equal(loaded.state_dict(), D.state_dict())
    (tmp_path / "m" / "training.json").unlink()
    refused(lambda: Discriminator.from_pretrained(tmp_path / "m"), "does not say of which network", by=PretrainedError)
    save_file(load_file(path), path, metadata={"sngan_cond": "[]"})
    refused(lambda: Discriminator.from_pretrained(tmp_path / "m"), "a JSON object is expected", by=PretrainedError)


def test_a_discriminator_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    D = make_discriminator()
    D.save_pretrained(tmp_path / "d")
    path = tmp_path / "d" / "discriminator.safetensors"
    tensors = load_file(path)
    wide = DiscriminatorConfig(resolution=32, num_classes=3, channels=4096)
    cases = {
        config_text(wide, D.constraint): "numbers, a network of its config has",
        config_text(D.config, ConstraintConfig(kind="none")): "unknown weight",
        config_text(D.config, ConstraintConfig(exclude=("nowhere",))): "exclude='nowhere'",
        '{"discriminator": {}, "constraint": {}}': "DiscriminatorConfig misses the field",
    }
    for text, words in cases.items():
        save_file(tensors, path, metadata={"sngan_cond": text})
        refused(lambda: Discriminator.from_pretrained(tmp_path / "d"), str(path), words, by=PretrainedError)
    path.write_bytes(b"no file of tensors")
    refused(lambda: Discriminator.from_pretrained(tmp_path / "d"), "damaged or not safetensors", by=PretrainedError)
    refused(lambda: Discriminator.from_pretrained("bundled"), "no discriminator.safetensors there", by=PretrainedError)
    D = make_discriminator(ConstraintConfig(kind="none"))
    torch.nn.utils.parametrizations.weight_norm(D.head.linear)
    refused(lambda: D.save_pretrained(tmp_path / "e"), "carries more than its constraint", by=PretrainedError)


def test_a_run_means_its_newest_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sngan_cond")
    root = tmp_path / "run" / "checkpoints"
    root.mkdir(parents=True)
    refused(lambda: Generator.from_pretrained(tmp_path / "run"), "a run, and it has no checkpoint yet")
    for step in (8, 100):
        folder = root / f"step-{step:08d}"
        make().save_pretrained(folder, discriminator=make_discriminator())
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        (folder / "state.json").write_text(json.dumps({"files": files}))
    loaded = Generator.from_pretrained(tmp_path / "run")
    assert loaded.provenance is not None
    assert loaded.provenance.folder == root / "step-00000100"
    assert caplog.messages == [f"{tmp_path / 'run'}: a run; its newest checkpoint is taken, step-00000100"]
    (root / "step-00000100" / "model.safetensors").write_bytes(b"cut")
    caplog.clear()
    loaded = Generator.from_pretrained(tmp_path / "run")
    assert loaded.provenance is not None
    assert loaded.provenance.folder == root / "step-00000008"
    assert "step-00000100: damaged checkpoint skipped (model.safetensors: sha256" in caplog.messages[0]
    assert Discriminator.from_pretrained(tmp_path / "run").provenance.folder == root / "step-00000100"  # it is whole
    with monkeypatch.context() as patch:  # a disk that fails now says nothing of the newest, and no older one is taken
        patch.setattr(Path, "open", mock.Mock(side_effect=OSError(errno.EIO, "Input/output error", "state.json")))
        words = "'state.json': cannot be read now (Input/output error), which may pass"
        refused(lambda: Generator.from_pretrained(tmp_path / "run"), words, by=PretrainedError)
    (root / "step-00000008" / "state.json").unlink()
    refused(lambda: Generator.from_pretrained(tmp_path / "run"), "none of its 2 checkpoints is whole")


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """And not taken for a model without that file."""
    make().save_pretrained(tmp_path)
    (tmp_path / "training.json").mkdir()
    files = locate(tmp_path, extras=("training.json",))
    refused(lambda: files.step, "training.json: cannot be read as JSON (Is a directory)", by=PretrainedError)


def test_a_folder_that_shadows_a_repo_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    make().save_pretrained("user/name")
    caplog.set_level("INFO", "sngan_cond")
    Generator.from_pretrained("user/name")
    assert caplog.messages == ["user/name: the folder is taken; the repo of this name on the Hub is user/name@main"]
    caplog.clear()
    Generator.from_pretrained("./user/name")
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "cuda:99"}, "device='cuda:99': cannot be used here"),
        ({"device": "tpu9"}, "device='tpu9': cannot be used here"),
        ({"device": 1.5}, "device='1.5': cannot be used here"),
        ({"torch_dtype": torch.int8}, "torch_dtype=torch.int8: torch.float32, torch.float16"),
        ({"torch_dtype": "float16"}, "torch_dtype='float16'"),
    ],
)
def test_places_and_types_that_are_none_are_refused(options: dict[str, Any], words: str) -> None:
    refused(lambda: Generator.from_pretrained("user/name", **options), words, by=PretrainedError)


def test_the_first_gpu_is_not_taken_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[object] = []
    monkeypatch.setattr("sngan_cond.hub.loadable._check_place", lambda *_: None)  # there is none here
    monkeypatch.setattr(Generator, "to", lambda self, device: places.append(device) or self)
    for device in (0, None):
        Generator.from_pretrained("bundled", device=device)
    assert places == [0, "cpu"]


def test_a_name_that_is_no_text_is_refused() -> None:
    for name in (None, 5, b"bundled"):
        refused(lambda name=name: Generator.from_pretrained(name), f"model={name!r}: ", by=PretrainedError)


def _assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
