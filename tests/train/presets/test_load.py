import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from sngan_cond import Discriminator, Generator
from sngan_cond.constraints.build import PARTS
from tests.processes import output_of
from tests.refusals import refused, refused_command
from train.__main__ import main
from train.config import TrainConfig
from train.data.dataset import count_classes
from train.errors import TrainError
from train.presets.load import FOLDER, config_to_yaml, load_config, preset_names

TOP_LEVEL = [name for name in preset_names() if "/" not in name]


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_a_preset_says_where_it_comes_from_and_only_what_differs(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    for word in ("# Paper:", "# Data:", "# Run:", "# Cost:", "# Reported:"):
        assert word in text
    assert f"--preset {name}" in text
    values = yaml.safe_load(text)
    parent = load_config(values.pop("extends")) if "extends" in values else load_config(None)
    mine = load_config(name, count_classes=lambda _: 4)
    for key, value in values.items():
        if dataclasses.is_dataclass(getattr(parent, key)):
            assert (
                all(getattr(getattr(mine, key), k) != getattr(getattr(parent, key), k) for k in value) or key == "data"
            )
        else:
            assert getattr(mine, key) != getattr(parent, key), f"{name}: {key} repeats what it inherits"


def test_the_defaults_are_the_papers_imagenet_run() -> None:
    config = load_config("imagenet_128_projection")
    assert config == TrainConfig()
    assert (config.steps, config.decay_from, config.d_updates_per_step) == (450_000, 400_000, 5)
    assert (config.optim_g.lr, config.optim_g.beta1, config.optim_g.beta2, config.optim_g.eps) == (2e-4, 0, 0.9, 1e-8)
    assert (config.batch_total, config.fakes_per_step) == (64, 128)
    assert config.loss.kind == "hinge"


def test_a_value_may_hold_an_equals_sign() -> None:
    assert load_config(None, ["data.path=/data/side=32"]).data.path == "/data/side=32"


def test_the_resolved_configuration_reads_back_as_itself(tmp_path: Path) -> None:
    config = load_config("cifar10_cnn", ["seed=7", "trackers=[wandb]", "optim_d.lr=1e-3"])
    path = tmp_path / "resolved.yaml"
    path.write_text(config_to_yaml(config))
    assert load_config(str(path)) == config


def test_one_top_level_resolution_serves_both_networks() -> None:
    config = load_config("tiny")
    assert Generator(config.generator).config.resolution == Discriminator(config.discriminator).config.resolution == 32


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["resolutio=3"], "--set resolutio: no such key; did you mean resolution?"),
        (["batch=64"], "--set batch: no such key; did you mean batch_total?"),
        (["optim_g.l=1"], "--set optim_g.l: no such key; did you mean optim_g.lr?"),
        (["optim_g.lr=-1"], "--set optim_g.lr=-1: a number above 0.0 is allowed"),
        (["steps=abc"], "--set steps='abc': a whole number is allowed"),
        (
            ["resolution=33"],
            "generator: resolution=33: the resnet architecture has plans for [32, 48, 64, 128, 256] px",
        ),
        (["discriminator.head=projectio"], "--set discriminator.head='projectio': 'unconditional',"),
        (["generator.resolution=64"], "generator.resolution=64: say resolution "),
        (["generator=3"], "--set generator=3: a mapping of keys is allowed"),
        (["num_classes=0"], "discriminator: head='projection' with num_classes=0: "),
        (["augment.policy=color"], "--set augment.policy='color': a list is allowed, in [] and with commas"),
        (["init_classes=tabby"], "--set init_classes='tabby': a mapping is allowed, in {}"),
        (["precision=fp16"], "--set precision='fp16': 'auto', 'fp32' or 'bf16' is allowed"),
        (["batch_total=65", "accumulate=2"], "batch_total=65: a multiple of accumulate=2 is allowed"),
        (["steps"], "--set steps: key=value is allowed"),
        (["steps=[1"], "--set steps=[1: the value is not YAML"),
        (["loss.lecam_decay=0.9"], "loss: lecam_decay=0.9 with lecam=0: only LeCam's averages have one"),
        (["loss.kind=ebgan", "loss.balance_rate=0.1"], "balance_rate=0.1 with kind=ebgan: only began has one"),
        ([f"steps{'.x' * 5000}=1"], "no such key; keys have at most 8 dots"),
        ([f"steps={'[' * 5000}"], "the value is not YAML (nested too deeply)"),
        ([f"{'k' * 10**5}=1"], "no such key; keys here are"),
        ([f"steps={'v' * 10**5}"], "(100002 characters): a whole number is allowed"),
        (["v" * 10**5], "key=value is allowed"),
    ],
    ids=lambda given: str(given)[:40],
)
def test_a_bad_override_is_named_with_what_is_allowed(overrides: list[str], message: str) -> None:
    line = refused_command(main, ["--preset", "imagenet_128_projection", "--dry-run", "--set", *overrides], message)
    assert re.search(r"(k|v|\.x){200}", line) is None


def test_an_adaptive_strength_goes_with_losses_whose_scores_have_a_sign() -> None:
    sets = ["augment.policy=[color]", "augment.adaptive=true", "loss.kind=wasserstein"]
    words = "augment.adaptive=True with loss.kind=wasserstein", "hinge, non_saturating and minimax are allowed"
    refused(lambda: load_config(None, sets), *words, by=TrainError)


@pytest.mark.parametrize("field", sorted(PARTS.keys() - {"init", "kind"}))
def test_what_a_discriminators_update_applies_is_refused_for_a_generator(field: str) -> None:
    value = "batch" if field == "features" else 1
    words = f"constraint_g.{field}={value}", ": only a discriminator's update applies it"
    refused(lambda: load_config(None, [f"constraint_g.{field}={value}"]), *words, by=TrainError)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("imagenet_128_projektion", "did you mean imagenet_128_projection?"),
        ("imagenet_128", "did you mean imagenet_128_projection?"),
        ("table2/cifar10_spectral_norm", "did you mean sngan/table2/cifar10_spectral_norm?"),
        ("nowhere.yaml", "--preset nowhere.yaml: no such file"),
        ("x" * 5000 + ".yaml", "xxx…: no such file"),
    ],
)
def test_a_misspelt_preset_is_named_with_the_nearest(preset: str, message: str) -> None:
    refused(lambda: load_config(preset), message, by=TrainError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim_g: {lrr: 1}", "optim_g.lrr: no such key; did you mean optim_g.lr?"),
        (
            "extends: imagenet_128_conat",
            "extends='imagenet_128_conat': no such preset; did you mean imagenet_128_concat?",
        ),
        ("extends: mine.yaml", "extends='mine.yaml': a preset that does not extend this one again is allowed"),
        ("extends: base.yaml", "extends='base.yaml': no such file ("),
        ("- 1", "a mapping of keys to values is allowed, not list"),
        ("steps: 1\nsteps: 2", "cannot be read as YAML (the key 'steps' stands twice"),
        ("optim_g: &adam {lr: 1e-3}\noptim_d: *adam", "cannot be read as YAML (aliases are not read"),
        ("steps: [1", "cannot be read as YAML ("),
    ],
)
def test_a_mistake_in_a_file_names_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{text}\n")
    assert refused(lambda: load_config(str(path)), message, by=TrainError).startswith(f"{path}: ")


def test_a_preset_that_is_no_text_is_refused_before_its_notes_are_shown(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"# \xe9\nsteps: 3\n")
    refused_command(main, ["--dry-run", "--preset", tmp_path / "mine.yaml"], "cannot be read as YAML ('utf-8' codec")


def test_a_preset_extends_files_beside_it_and_those_that_extend_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "base.yaml").write_text("extends: imagenet_128_concat\nsteps: 7\noptim_d: {lr: 0.5}\n")
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\nsteps: 9\ndata: {path: ~/photographs}\n")
    monkeypatch.setenv("HOME", str(tmp_path))  # and no file of this name is in the current folder
    settings = ["steps=9", "optim_d.lr=0.5", f"data.path={tmp_path}/photographs"]
    assert load_config("~/mine.yaml") == load_config("imagenet_128_concat", settings)


def test_auto_takes_the_number_of_classes_from_the_data_set(tiny_data: Path, tmp_path: Path) -> None:
    """The preset's data set or that of `--set`, whichever comes last."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: tiny\nnum_classes: auto\ndata: {{path: {tiny_data}}}\n")
    assert load_config(str(path), count_classes=count_classes) == load_config("tiny", [f"data.path={tiny_data}"])
    asked: list[str] = []
    load_config(str(path), ["data.path=other"], count_classes=lambda path: asked.append(path) or 7)
    load_config("imagenet_64_projection", ["num_classes=auto"], count_classes=lambda path: asked.append(path) or 7)
    assert asked == ["other", "data/imagenet-64"]
    assert load_config(str(path), ["num_classes=3"], count_classes=lambda _: 7).generator.num_classes == 3


def test_auto_without_labels_trains_without() -> None:
    config = load_config("tiny", ["num_classes=auto"], count_classes=lambda _: 0)
    assert config == load_config("tiny", ["num_classes=0", "discriminator.head=unconditional"])
    words = "head='projection' with num_classes=0: unconditional and reconstruction go with 0 classes"
    asked = ["num_classes=auto", "discriminator.head=projection"]
    refused(lambda: load_config("tiny", asked, count_classes=lambda _: 0), words, by=TrainError)
    words = "--set num_classes=auto: no data set is read here; a number is allowed"
    refused(lambda: load_config("tiny", asked), words, by=TrainError)


def test_auto_without_data_is_refused_and_stays_in_a_dry_run(tmp_path: Path) -> None:
    command = ["--preset", "tiny", "--set", "num_classes=auto", f"data.path={tmp_path / 'none'}"]
    words = f"--set data.path={tmp_path / 'none'}: no such folder; make it with"
    refused_command(main, [*command, "--run-dir", tmp_path / "run"], words)
    assert not (tmp_path / "run").exists()
    text = output_of(main, *command, "--dry-run")
    assert text == output_of(main, *command, "num_classes=10", "--dry-run").replace("classes: 10", "classes: auto")
    refused_command(
        main, [*command, f"data.path={tmp_path}", "--dry-run"], f"--set data.path={tmp_path}: holds no dataset.json"
    )


def test_dry_run_prints_the_resolved_configuration() -> None:
    assert yaml.safe_load(output_of(main, "--preset", "tiny", "--dry-run", "--set", "steps=9"))["steps"] == 9


def test_dry_run_of_a_row_says_its_paper_and_reads_back(tmp_path: Path) -> None:
    text = output_of(main, "--preset", "sngan/table2/cifar10_spectral_norm", "--dry-run", "--set", "seed=3")
    assert "# Reported: inception_score 7.42+-.08, fid 29.3\n" in text
    assert text.startswith("# Paper:    Miyato et al. 2018")
    (tmp_path / "row.yaml").write_text(text)
    assert load_config(str(tmp_path / "row.yaml")) == load_config("sngan/table2/cifar10_spectral_norm", ["seed=3"])


def test_a_row_can_be_extended(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: sngan/table2/cifar10_spectral_norm\nsteps: 7\noptim_d: {lr: 0.5}\n")
    expected = load_config("sngan/table2/cifar10_spectral_norm", ["steps=7", "optim_d.lr=0.5"])
    assert load_config(str(path)) == expected
    assert expected.optim_d.beta1 == 0.5
