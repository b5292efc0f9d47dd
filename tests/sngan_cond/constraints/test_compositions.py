"""Every constraint on every architecture and head: a D update runs, state survives saving, folding leaves it plain."""

import copy
import itertools

import pytest
import torch
from torch.nn.utils import parametrize

from sngan_cond import Constraint, ConstraintConfig, Generator, GeneratorConfig, LossConfig, build_constraint
from sngan_cond.constraints.build import PARTS
from sngan_cond.constraints.fold import fold
from sngan_cond.constraints.penalties import PenaltyBatch
from sngan_cond.objectives import DiscriminatorBatch, discriminator_objective
from tests.refusals import refused
from tests.sngan_cond.constraints.helpers import SIDES, constrained, discriminator, images

CONSTRAINTS = {
    "spectral": {},
    "bidirectional scaled": {"estimate": "bidirectional", "scale": 1.2},
    "operator": {"estimate": "operator", "iterations": 2},
    "update": {"power_iterations_at": "update"},
    "shared gamma": {"gamma": "shared", "gradient_penalty": 10.0},
    "gamma of biases": {"gamma": "shared", "gamma_biases": True, "power_iterations_at": "update"},
    "gamma a layer": {"gamma": "per_layer", "estimate": "bidirectional", "gradient_penalty": 10.0},
    "weight": {"kind": "weight"},
    "weight gamma": {"kind": "weight", "gamma": "per_row", "gradient_penalty": 10.0},
    "frobenius": {"kind": "frobenius", "gamma": "per_layer"},
    "batch": {"kind": "none", "features": "batch"},
    "layer": {"kind": "none", "features": "layer", "gradient_penalty": 10.0},
    "clip": {"kind": "none", "weight_clip": 0.01},
    "orthonormal": {"kind": "none", "init": "orthonormal", "orthonormal_penalty": 1.0},
    "lecun": {"kind": "none", "init": "lecun", "init_scale": 1.2},
    "spectral penalty": {"kind": "none", "spectral_penalty": 0.01},
    "singular clipping": {"kind": "none", "singular_clip_every": 1},
    "everything": {
        "gamma": "per_layer",
        "features": "layer",
        "init": "orthonormal",
        "gradient_penalty": 1.0,
        "orthonormal_penalty": 0.1,
        "spectral_penalty": 0.01,
        "weight_clip": 0.5,
        "singular_clip_every": 2,
    },
}
NETWORKS = [
    ("resnet", "projection"),
    ("cnn", "concat"),
    ("cnn", "reconstruction"),
    ("dcgan", "auxiliary_classifier"),
    ("mnist", "unconditional"),
]


def update(D: torch.nn.Module, constraint: Constraint, seed: int = 0) -> torch.Tensor:
    """Take one D update by steps of length 1e-3 against each gradient, and return its loss."""
    config = D.config
    G = Generator(
        GeneratorConfig(
            resolution=config.resolution,
            num_classes=config.num_classes,
            architecture=config.architecture,
            channels=2,
            latent_dim=3,
        )
    )
    x, y = images(D, 3, seed)
    batch = DiscriminatorBatch(x, y, torch.randn(3, 3), y)
    rng = torch.Generator().manual_seed(seed)
    objective = discriminator_objective(D, G, batch, loss=LossConfig(), constraint=constraint, rng=rng)
    parameters = list(D.parameters())
    gradients = torch.autograd.grad(objective.total, parameters)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.sub_(1e-3 * gradient / (gradient.norm() + 1e-12))
    constraint.after_step(D)
    return objective.total.detach()


@pytest.mark.slow
@pytest.mark.parametrize(("network", "name"), list(itertools.product(NETWORKS, CONSTRAINTS)))
def test_update_save_and_fold(network: tuple[str, str], name: str) -> None:
    torch.manual_seed(0)
    D, twin, plain = discriminator(*network), discriminator(*network, seed=1), discriminator(*network)
    constraint = constrained(D, **CONSTRAINTS[name])
    constraint.attach(twin)
    loss = update(D, constraint)  # raises where a parameter gets no gradient
    assert torch.isfinite(loss)

    twin.load_state_dict(D.state_dict(), strict=True)
    for module in (D, twin):
        module.train()
    x, y = images(D, 3, seed=2)
    torch.testing.assert_close(twin(x, y).score, D(x, y).score, rtol=0, atol=0)
    torch.manual_seed(1)
    first = update(D, constraint, seed=3)
    torch.manual_seed(1)
    torch.testing.assert_close(update(twin, constraint, seed=3), first, rtol=0, atol=0)

    D.eval()
    D.load_state_dict(twin.state_dict())
    scores = D(x, y).score.detach()
    D.load_state_dict(twin.state_dict())  # linear layers move their state in eval too, as the official code does
    fold(D)
    torch.testing.assert_close(D(x, y).score, scores, rtol=1e-5, atol=1e-6)
    added = {key for key in D.state_dict() if "feature_norm" in key}
    assert set(D.state_dict()) - added == set(plain.state_dict())
    assert not D.training


@pytest.mark.parametrize("estimate", ["matrix", "bidirectional", "operator"])
@pytest.mark.parametrize("architecture", ["resnet", "cnn", "dcgan", "mnist"])
def test_generator_takes_spectral_norm_and_folds(architecture: str, estimate: str) -> None:
    torch.manual_seed(0)
    config = GeneratorConfig(
        resolution=SIDES[architecture], num_classes=3, architecture=architecture, channels=4, latent_dim=5
    )
    G = Generator(config)
    names = set(G.state_dict())
    constrained(G, estimate=estimate)
    z, y = torch.randn(4, 5), torch.tensor([0, 2, 1, 0])
    G(z, y).square().sum().backward()
    assert all(parameter.grad is not None for parameter in G.parameters())
    G.eval()
    state = {key: value.clone() for key, value in G.state_dict().items()}
    images_before = G(z, y).detach()
    G.load_state_dict(state)
    fold(G)
    torch.testing.assert_close(G(z, y), images_before, rtol=1e-4, atol=1e-5)
    assert set(G.state_dict()) == names
    Generator(config).load_state_dict(G.state_dict(), strict=True)


@pytest.mark.parametrize("name", ["spectral", "bidirectional scaled", "operator", "weight gamma", "frobenius"])
@pytest.mark.parametrize("network", NETWORKS)
def test_gradient_penalty_reaches_every_weight(network: tuple[str, str], name: str) -> None:
    """A second backward pass goes through every parametrisation, biases aside."""
    D = discriminator(*network)
    constraint = constrained(D, **{**CONSTRAINTS[name], "gradient_penalty": 10.0})
    real, y = images(D, 3, seed=0)
    fake, _ = images(D, 3, seed=1)
    penalty = constraint.penalty(D, PenaltyBatch(real, fake, y))
    weights = [(n, p) for n, p in D.named_parameters() if not n.endswith("bias")]
    gradients = torch.autograd.grad(penalty, [p for _, p in weights], allow_unused=True)
    missing = {n for (n, _), gradient in zip(weights, gradients, strict=True) if gradient is None}
    # The score's slope does not see the classifier, nor the label planes but through later layers.
    assert missing <= {n for n, _ in weights if "classifier" in n}


@pytest.mark.parametrize("name", ["spectral", "shared gamma", "weight gamma"])
def test_folding_a_copy_leaves_the_original(name: str) -> None:
    D = discriminator("cnn")
    constrained(D, **CONSTRAINTS[name])
    D.eval()
    x, _ = images(D, 2)
    state = {key: value.clone() for key, value in D.state_dict().items()}
    expected = D(x).score.detach()
    D.load_state_dict(state)
    copied = copy.deepcopy(D)
    fold(copied)
    torch.testing.assert_close(copied(x).score, expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(value, state[key]) for key, value in D.state_dict().items())
    torch.testing.assert_close(D(x).score, expected, rtol=0, atol=0)
    assert parametrize.is_parametrized(D.trunk.convs[0], "weight")


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"init": "lecun", "gradient_penalty": 10.0}, ["init", "kind", "gradient_penalty"]),
        ({}, ["kind"]),
        ({"kind": "none", "gradient_penalty": 1.0}, ["gradient_penalty"]),
        ({"kind": "none"}, []),
        ({**CONSTRAINTS["everything"]}, list(PARTS)),
    ],
)
def test_a_constraint_has_the_parts_that_are_on_in_order(settings: dict[str, object], parts: list[str]) -> None:
    assert list(build_constraint(ConstraintConfig(**settings)).parts) == parts


def test_a_constraint_without_a_configuration_does_nothing() -> None:
    D = discriminator("cnn")
    before = copy.deepcopy(D.state_dict())
    constraint = Constraint()
    constraint.attach(D)
    x, y = images(D, 2)
    assert constraint.penalty(D, PenaltyBatch(x, x, y)) is None
    constraint.after_step(D)
    assert all(torch.equal(value, before[key]) for key, value in D.state_dict().items())
    assert not any(parametrize.is_parametrized(layer) for layer in D.modules())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"kind": "spektral"},
            "kind='spektral': allowed are spectral, weight, frobenius, none (did you mean 'spectral'",
        ),
        (
            {"kind": "weight", "estimate": "operator"},
            "estimate='operator' with kind='weight': it goes with kind spectral",
        ),
        ({"kind": "none", "scale": 1.2}, "scale=1.2, scale_spread=0.0, gamma='none' with kind='none': 1, 0 and"),
        ({"gamma": "per_row"}, "gamma='per_row' with kind='spectral': it goes with kind weight"),
        ({"gamma": "shared", "scale": 2.0}, "scale=2.0, scale_spread=0.0 with gamma='shared'"),
        ({"gamma_biases": True}, "gamma_biases=True with gamma='none': it goes with shared and per_layer"),
        ({"init_scale": 0.2}, "init_scale=0.2 with init='as_built'"),
        ({"scale_spread": -0.1}, "scale_spread=-0.1: a number from 0 to 5 is allowed"),
        ({"scale_spread": 0.5, "kind": "none"}, "scale_spread=0.5, gamma='none' with kind='none'"),
        ({"scale_spread": 0.5, "gamma": "shared"}, "scale_spread=0.5 with gamma='shared'"),
        ({"scale_seed": 3}, "scale_seed=3 with scale_spread=0: nothing is drawn"),
        ({"singular_clip": 2.0}, "singular_clip=2.0 with singular_clip_every=0: nothing is clipped"),
        ({"scale": 0.0}, "scale=0.0: a finite number above 0 is allowed"),
        ({"gradient_penalty": -1.0}, "gradient_penalty=-1.0: a finite number from 0 is allowed"),
        ({"weight_clip": float("nan")}, "weight_clip=nan: a finite number from 0 is allowed"),
        ({"iterations": 0}, "iterations=0: an integer from 1 to 1000 is allowed"),
        ({"features": "group"}, "features='group': allowed are none, batch, layer"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, object], message: str) -> None:
    refused(lambda: ConstraintConfig(**settings), message)


def test_settings_survive_a_round_trip() -> None:
    config = ConstraintConfig(kind="weight", gamma="per_row", gradient_penalty=10.0, exclude=("head.linear",))
    assert ConstraintConfig.from_dict(config.to_dict()) == config
    older = config.to_dict()
    assert older.pop("gamma_biases") is False  # which came later
    assert ConstraintConfig.from_dict(older) == config


def test_operator_wants_to_know_the_input() -> None:
    message = "estimate='operator' on Linear: a Generator or Discriminator is allowed"
    refused(lambda: constrained(torch.nn.Linear(2, 2), estimate="operator"), message)
