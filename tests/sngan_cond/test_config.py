"""Configurations: strict from and to dictionaries, and every limit named."""

import json

import pytest

from sngan_cond import ConstraintConfig, DiscriminatorConfig, GeneratorConfig, LossConfig
from sngan_cond.config import AugmentConfig
from tests.refusals import refused

CONFIGS = (
    GeneratorConfig(),
    GeneratorConfig(resolution=64, num_classes=2, class_names=("a", "b"), class_ids=("n1", "n2"), latent="uniform"),
    DiscriminatorConfig(),
    DiscriminatorConfig(resolution=32, num_classes=0, head="unconditional", architecture="cnn", slope=0.0),
    LossConfig(kind="non_saturating"),
    AugmentConfig(policy=("cutout",), strength=0.25),
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
    unknown = values | {"latent_dims": 3}
    refused(lambda: GeneratorConfig.from_dict(unknown), "no field 'latent_dims' (did you mean 'latent_dim'?)")
    del values["latent_dim"], values["latent"]
    refused(lambda: GeneratorConfig.from_dict(values), "misses the field latent_dim, latent")


def test_older_files_lack_fields_that_came_later() -> None:
    config = GeneratorConfig(architecture="cnn", resolution=32)
    values = config.to_dict()
    assert (values.pop("first_norm"), values.pop("norm_eps")) == ("channel", 2e-5)
    assert GeneratorConfig.from_dict(values) == config
    of_d = DiscriminatorConfig().to_dict()
    assert of_d.pop("conv_init") == "normal"
    assert DiscriminatorConfig.from_dict(of_d) == DiscriminatorConfig()


REFUSED: dict[type, list[tuple[dict[str, object], str]]] = {
    GeneratorConfig: [
        ({"first_norm": "unit"}, "first_norm='unit': it goes with architecture cnn and norm batch"),
        ({"norm_eps": 0}, "norm_eps=0: a number above 0 and up to 1 is allowed"),
        (
            {"norm_eps": 1e-5, "norm": "none", "architecture": "cnn", "resolution": 32, "num_classes": 0},
            "norm_eps=1e-05 with norm='none': nothing is normalised",
        ),
        ({"resolution": 100}, "resolution=100: the resnet architecture has plans for"),
        ({"resolution": 4096}, "resolution=4096: an integer from 1 to 1024"),
        ({"resolution": "128"}, "resolution='128': an integer"),
        ({"num_classes": -1}, "num_classes=-1: an integer from 0"),
        ({"num_classes": True}, "num_classes=True: an integer"),
        ({"latent_dim": 0}, "latent_dim=0: an integer from 1"),
        ({"latent_dim": 1.5}, "latent_dim=1.5: an integer"),
        ({"channels": 10**9}, "channels=1000000000: an integer from 1 to 4096"),
        ({"architecture": "resnets"}, "architecture='resnets': allowed are resnet, cnn"),
        ({"architecture": "resnets"}, "(did you mean 'resnet'?)"),
        ({"architecture": "mnist"}, "resolution=128: the mnist architecture is 28 px"),
        ({"architecture": "cnn", "resolution": 36}, "resolution=36: the cnn architecture takes multiples of 8"),
        (
            {"architecture": "dcgan", "resolution": 48},
            "the dcgan architecture takes powers of 2 from 16 px",
        ),
        ({"latent": "gauss"}, "latent='gauss': allowed are normal, uniform"),
        ({"norm": "none"}, "norm='none': it goes with architecture cnn and num_classes 0"),
        ({"class_names": ("a", "b")}, "class_names has 2 entries; num_classes=1000"),
        ({"class_names": "ab", "num_classes": 2}, "class_names='ab': a tuple of strings"),
        ({"class_ids": (1, 2), "num_classes": 2}, "class_ids=(1, 2): a tuple of strings"),
    ],
    DiscriminatorConfig: [
        ({"head": "project"}, "head='project': allowed are unconditional, projection"),
        ({"head": "project"}, "(did you mean 'projection'?)"),
        ({"num_classes": 0}, "head='projection' with num_classes=0"),
        ({"head": "unconditional"}, "head='unconditional' with num_classes=1000"),
        ({"head": "reconstruction"}, "head='reconstruction' with num_classes=1000"),
        (
            {"head": "reconstruction", "num_classes": 0},
            " with architecture='resnet': cnn is allowed",
        ),
        ({"head": "concat", "architecture": "dcgan"}, "head='concat': the dcgan architecture takes unconditional"),
        ({"head": "concat", "architecture": "mnist", "resolution": 28}, "head='concat': "),
        ({"conv_init": "truncated"}, "conv_init='truncated': it goes with architectures cnn and mnist"),
        ({"hidden": "both"}, "hidden='both': allowed are input, output"),
        ({"skip": "never"}, "skip='never': allowed are auto, always"),
        ({"pool": "max"}, "pool='max': allowed are sum, mean"),
        ({"embed_dim": 0}, "embed_dim=0: an integer from 1"),
        ({"slope": 1.0}, "slope=1.0: "),
        ({"slope": float("nan")}, "slope=nan: "),
        ({"slope": "steep"}, "slope='steep': "),
        ({"top_size": 0}, "top_size=0: "),
        ({"top_size": True}, "top_size=True: "),
    ],
    LossConfig: [
        ({"kind": "hinges"}, "did you mean 'hinge'"),
        ({"classification_d": -0.1}, "classification_d=-0.1: "),
        ({"classification_g": float("inf")}, "classification_g=inf: "),
        ({"classification_g": "much"}, "classification_g='much': "),
        ({"lecam_decay": 1.0}, "lecam_decay=1.0: a number from 0 to below 1"),
        ({"lecam_decay": 0.5}, "lecam_decay=0.5 with lecam=0: "),
        ({"diversity": 0.5}, "diversity=0.5 with kind=hinge: only began has one"),
        ({"kind": "began", "margin": 2.0}, "margin=2.0 with kind=began: only ebgan has one"),
    ],
    AugmentConfig: [
        ({"policy": ("colour",)}, "policy=('colour',): a list of color, translation, cutout is allowed"),
        ({"policy": "color"}, "policy='color': a list of"),
        ({"policy": ("color",), "strength": 1.5}, "strength=1.5: a number from 0 to 1"),
        ({"policy": ("color",), "adaptive": True, "target": 1.0}, "target=1.0: a number between -1 and 1"),
        ({"policy": ("color",), "adaptive": True, "strength": 0.5}, "strength=0.5 with adaptive=True: an adaptive"),
        ({"adaptive": True}, "adaptive=True with policy=(): nothing is applied"),
        ({"strength": 0.5}, "strength=0.5, adaptive=False with policy=()"),
        ({"policy": ("color",), "target": 0.5}, "target=0.5 with adaptive=False: only an adaptive strength has one"),
    ],
    ConstraintConfig: [
        ({"kind": "spectrum"}, "did you mean 'spectral'"),
        ({"iterations": 0}, "iterations=0: an integer from 1"),
        ({"power_iterations_at": "step"}, "power_iterations_at='step': allowed are forward, update"),
        ({"scale": None}, "scale=None: "),
    ],
}


@pytest.mark.parametrize(
    ("config", "fields", "message"), [(config, *row) for config, rows in REFUSED.items() for row in rows]
)
def test_limits(config: type, fields: dict[str, object], message: str) -> None:
    refused(lambda: config(**fields), message)
