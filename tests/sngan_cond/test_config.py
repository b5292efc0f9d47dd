"""Configurations: strict from and to dictionaries, and every limit named."""

import json
import re

import pytest

from sngan_cond import ConstraintConfig, DiscriminatorConfig, GeneratorConfig, LossConfig

CONFIGS = (
    GeneratorConfig(),
    GeneratorConfig(resolution=64, num_classes=2, class_names=("a", "b"), class_ids=("n1", "n2"), latent="uniform"),
    DiscriminatorConfig(),
    DiscriminatorConfig(resolution=32, num_classes=0, head="unconditional", architecture="cnn", slope=0.0),
    LossConfig(kind="non_saturating"),
    ConstraintConfig(exclude=("head.embed",)),
)


def test_defaults_are_the_128_px_imagenet_projection_setting() -> None:
    g, d = GeneratorConfig(), DiscriminatorConfig()
    assert (g.resolution, g.num_classes, g.latent_dim, g.channels, g.latent) == (128, 1000, 128, 64, "normal")
    assert (d.resolution, d.num_classes, d.head, d.channels, d.embed_dim) == (128, 1000, "projection", 64, 128)
    assert LossConfig().kind == "hinge"
    assert (ConstraintConfig().kind, ConstraintConfig().power_iterations_at) == ("spectral", "forward")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_round_trip_through_json(config: GeneratorConfig) -> None:
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_and_missing_fields_are_named() -> None:
    values = GeneratorConfig().to_dict()
    with pytest.raises(ValueError, match=r"no field 'latent_dims' \(did you mean 'latent_dim'\?\)"):
        GeneratorConfig.from_dict(values | {"latent_dims": 3})
    del values["latent_dim"], values["latent"]
    with pytest.raises(ValueError, match="misses the field latent_dim, latent"):
        GeneratorConfig.from_dict(values)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"resolution": 100}, "resolution=100: the resnet architecture has plans for"),
        ({"resolution": 4096}, "resolution=4096: an integer from 1 to 1024"),
        ({"resolution": "128"}, "resolution='128': an integer"),
        ({"num_classes": -1}, "num_classes=-1: an integer from 0"),
        ({"num_classes": True}, "num_classes=True: an integer"),
        ({"latent_dim": 0}, "latent_dim=0: an integer from 1"),
        ({"latent_dim": 1.5}, "latent_dim=1.5: an integer"),
        ({"channels": 10**9}, "channels=1000000000: an integer from 1 to 4096"),
        ({"architecture": "resnets"}, "architecture='resnets': allowed are .*did you mean 'resnet'"),
        ({"architecture": "mnist"}, "resolution=128: the mnist architecture is 28 px"),
        ({"architecture": "cnn", "resolution": 36}, "resolution=36: the cnn architecture takes multiples of 8"),
        ({"latent": "gauss"}, "latent='gauss': allowed are normal, uniform"),
        ({"class_names": ("a", "b")}, "class_names has 2 entries; num_classes=1000"),
        ({"class_names": "ab", "num_classes": 2}, "class_names='ab': a tuple of strings"),
        ({"class_ids": (1, 2), "num_classes": 2}, r"class_ids=\(1, 2\): a tuple of strings"),
    ],
)
def test_generator_limits(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GeneratorConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"head": "project"}, "head='project': allowed are .*did you mean 'projection'"),
        ({"num_classes": 0}, "head='projection' with num_classes=0"),
        ({"head": "unconditional"}, "head='unconditional' with num_classes=1000"),
        ({"hidden": "both"}, "hidden='both': allowed are input, output"),
        ({"skip": "never"}, "skip='never': allowed are auto, always"),
        ({"embed_dim": 0}, "embed_dim=0: an integer from 1"),
        ({"slope": 1.0}, "slope=1.0: "),
        ({"slope": float("nan")}, "slope=nan: "),
        ({"slope": "steep"}, "slope='steep': "),
        ({"top_size": 0}, "top_size=0: "),
        ({"top_size": True}, "top_size=True: "),
        ({"architecture": "mnist", "resolution": 28, "head": "concat"}, "head='concat': "),
    ],
)
def test_discriminator_limits(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiscriminatorConfig(**fields)


@pytest.mark.parametrize(
    ("config", "fields", "message"),
    [
        (LossConfig, {"kind": "hinges"}, "did you mean 'hinge'"),
        (LossConfig, {"classification_d": -0.1}, "classification_d=-0.1: "),
        (LossConfig, {"classification_g": float("inf")}, "classification_g=inf: "),
        (LossConfig, {"classification_g": "much"}, "classification_g='much': "),
        (ConstraintConfig, {"kind": "spectrum"}, "did you mean 'spectral'"),
        (ConstraintConfig, {"iterations": 0}, "iterations=0: an integer from 1"),
        (ConstraintConfig, {"power_iterations_at": "step"}, "power_iterations_at='step': allowed are forward, update"),
        (ConstraintConfig, {"scale": None}, "scale=None: "),
    ],
)
def test_other_limits(config: type, fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.compile(message)):
        config(**fields)
