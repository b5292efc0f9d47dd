"""`python -m train --explain`: every key, its meaning, what it takes, its default."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.processes import output_of, python
from tests.refusals import refused_command
from train.__main__ import main
from train.config import TrainConfig
from train.explain import keys
from train.presets.load import config_to_dict, load_config

KEYS = {key.name: key for key in keys()}


def test_every_key_is_listed_once_with_a_meaning() -> None:
    assert len(KEYS) == len(keys())
    assert {name for name, key in KEYS.items() if key.allowed} == set(_flat(config_to_dict(TrainConfig())))
    assert [name for name, key in KEYS.items() if not key.meaning] == []
    for name, line in zip(KEYS, _entries(output_of(main, "--explain")), strict=True):
        assert line.split()[0].rstrip(":") == name


def test_the_defaults_shown_are_the_defaults() -> None:
    shown = [f"{key.name}={yaml.safe_dump(key.default)}" for key in keys() if key.allowed]
    assert load_config(None, shown) == TrainConfig()


@pytest.mark.parametrize(
    ("key", "allowed", "default"),
    [
        ("keep_checkpoints", "an integer from 2", 2),
        ("num_classes", "an integer from 0 or auto", 1000),
        ("decay_from", "an integer from 0 or null", 400_000),
        ("optim_g.lr", "a number above 0 and below 1", 2e-4),
        ("generator.channels", "an integer from 1 to 4096 or null", None),
        ("discriminator.slope", "a number from 0 to below 1", 0.1),
        ("constraint_g.kind", "spectral, weight, frobenius or none", "none"),
        ("speed.compile", "true, false or auto", "auto"),
        ("data.flip", "true or false", False),
        ("trackers", "a list (each tensorboard, wandb or trackio)", ["tensorboard"]),
        ("hub.license", "a text like ^[a-z0-9]+([.-][a-z0-9]+)*[+]*$ or null", None),
    ],
)
def test_a_type_is_said_in_words(key: str, allowed: str, default: object) -> None:
    assert (KEYS[key].allowed, KEYS[key].default) == (allowed, default)


def test_a_key_is_explained_with_a_presets_value() -> None:
    lines = output_of(main, "--preset", "tiny", "--set", "steps=9", "--explain", "steps").splitlines()
    assert lines[0] == "steps"
    assert [line.strip() for line in lines[-3:]] == [
        "default: 450000",
        "value with --preset tiny --set: 9",
        "may change when a run goes on",
    ]
    listed = _entries(output_of(main, "--preset", "tiny", "--explain"))
    marked = {line.split()[0] for line in listed if "*" in line}
    assert {"steps", "ema.decay"} <= marked
    assert not {"seed", "optim_g.lr", "keep_checkpoints"} & marked


def test_a_section_and_a_last_part_name_several_keys() -> None:
    section = output_of(main, "--explain", "ema")
    assert "Moving average of the generator" in section
    assert [line for line in section.splitlines() if line and line[0] != " "] == ["ema", "ema.decay", "ema.start"]
    beta2 = output_of(main, "--explain", "beta2")
    assert [line for line in beta2.splitlines() if line and line[0] != " "] == ["optim_g.beta2", "optim_d.beta2"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("stepps", "--explain stepps: no such key; did you mean steps?"),
        ("optim_g.bta1", "did you mean optim_g.beta1?"),
        ("generator.resolution", "resolution is said once, at the top"),
        ("qqq", "--explain lists all"),
    ],
)
def test_a_misspelt_key_is_named_with_the_nearest(key: str, message: str) -> None:
    refused_command(main, ["--explain", key], message)


@pytest.mark.slow
def test_explaining_needs_no_torch() -> None:
    python("-c", "import sys; from train.__main__ import main; main(['--explain']); sys.exit('torch' in sys.modules)")


def _entries(text: str) -> list[str]:
    """Return the lines of the list without its head."""
    return [line for line in text.split("\n\n", 1)[1].splitlines() if line]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
