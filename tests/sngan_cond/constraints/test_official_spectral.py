"""Spectral normalisation as the paper states it: norms, gradient, equation 12, and what its state does when."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond import Constraint, Discriminator, DiscriminatorConfig
from sngan_cond.networks.layers import ConvMeanPool2d
from tests.refusals import refused
from tests.sngan_cond.constraints.helpers import constrained, outputs_first, top_singular_value

ODD_LAYERS = {
    "conv 7x5x3x3": lambda: nn.Conv2d(5, 7, 3),
    "conv 1x3x1x5": lambda: nn.Conv2d(3, 1, (1, 5)),
    "conv 13x2x1x1": lambda: nn.Conv2d(2, 13, 1),
    "strided conv 3x7x4x4": lambda: nn.Conv2d(7, 3, 4, stride=2, padding=1),
    "pooling conv 5x11x3x3": lambda: ConvMeanPool2d(11, 5, 3),
    "transposed conv 3x7x4x4": lambda: nn.ConvTranspose2d(3, 7, 4, stride=2),
    "linear 1x17": lambda: nn.Linear(17, 1),
    "linear 19x3": lambda: nn.Linear(3, 19, bias=False),
    "embedding 11x6": lambda: nn.Embedding(11, 6),
    "embedding 2x31": lambda: nn.Embedding(2, 31),
}


def layer_of(name: str, *, double: bool = False, **options: object) -> nn.Module:
    """Build a layer with its normalisation attached."""
    torch.manual_seed(len(name))
    layer = ODD_LAYERS[name]()
    nn.init.normal_(layer.weight)
    layer = layer.double() if double else layer
    constrained(layer, **options)
    return layer


def u_of(layer: nn.Module) -> Tensor:
    return layer.parametrizations.weight[0].u


@pytest.mark.parametrize("name", ODD_LAYERS)
@pytest.mark.parametrize(("rounds", "uses"), [(1, 600), (600, 1)])  # one round a use, as in training, or all at once
@torch.no_grad()
def test_the_largest_singular_value_becomes_one(name: str, rounds: int, uses: int) -> None:
    layer = layer_of(name, iterations=rounds).train()
    for _ in range(uses):
        normalised = layer.weight
    values = torch.linalg.svdvals(outputs_first(normalised, layer))
    assert values[0].item() == pytest.approx(1, abs=1e-5)  # float32 dot products of up to 112 terms
    raw = layer.parametrizations.weight.original
    torch.testing.assert_close(normalised * top_singular_value(outputs_first(raw, layer)), raw, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ODD_LAYERS)
def test_gradient_against_finite_differences(name: str) -> None:
    """At convergence the singular vectors stand still to first order, so holding them constant is exact."""
    layer = layer_of(name, double=True, iterations=600).eval()
    normalise = layer.parametrizations.weight[0]
    raw = layer.parametrizations.weight.original.detach().clone().requires_grad_()
    probe = torch.randn(raw.shape, dtype=torch.double)
    (gradient,) = torch.autograd.grad((normalise(raw) * probe).sum(), raw)
    rng = torch.Generator().manual_seed(0)
    for _ in range(3):  # directions
        direction = torch.randn(raw.shape, dtype=torch.double, generator=rng)
        with torch.no_grad():
            step = 1e-5 * direction
            rise = ((normalise(raw + step) - normalise(raw - step)) * probe).sum() / 2e-5
        assert (gradient * direction).sum().item() == pytest.approx(rise.item(), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", ["conv 7x5x3x3", "transposed conv 3x7x4x4", "linear 19x3", "embedding 11x6"])
def test_gradient_of_one_round_holds_both_vectors_constant(name: str) -> None:
    """Far from convergence too: the gradient is that of W / (u W v) with the u and v of this round."""
    layer = layer_of(name, double=True).eval()
    raw = layer.parametrizations.weight.original
    m = outputs_first(raw.detach(), layer)
    v = F.normalize(m.T @ u_of(layer), dim=0)
    u = F.normalize(m @ v, dim=0)

    def with_constant_vectors(weight: Tensor) -> Tensor:
        return weight / (u @ outputs_first(weight, layer) @ v)

    point = raw.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(with_constant_vectors, (point,))  # float64 finite differences
    probe = torch.randn(raw.shape, dtype=torch.double)
    (expected,) = torch.autograd.grad((with_constant_vectors(point) * probe).sum(), point)
    (gradient,) = torch.autograd.grad((layer.weight * probe).sum(), raw)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)


def _score(activations: Tensor) -> Tensor:
    """A smooth stand-in for the rest of the network and its objective, one value an image."""
    return (
        (torch.tanh(activations) * torch.arange(1, activations[0].numel() + 1).reshape(activations[0].shape))
        .flatten(1)
        .sum(dim=1)
    )


def _right_side_of_equation_12(raw: Tensor, deltas: Tensor, hiddens: Tensor, normalised: Tensor) -> Tensor:
    """(E[delta h^T] - lambda u_1 v_1^T) / sigma(W), expectations over images.

    Args:
        raw: W (rows, columns).
        deltas: (N, P, rows) derivatives of the objective by each of P outputs W_SN h.
        hiddens: (N, P, columns) the h of each.
        normalised: W_SN (rows, columns).
    """
    left, values, right = torch.linalg.svd(raw)
    unregularised = torch.einsum("npi,npj->ij", deltas, hiddens) / len(deltas)
    weight = torch.einsum("npi,ij,npj->", deltas, normalised, hiddens) / len(deltas)
    return (unregularised - weight * torch.outer(left[:, 0], right[0])) / values[0]


def test_equation_12_for_a_linear_layer() -> None:
    layer = layer_of("linear 19x3", double=True, iterations=600)
    raw, h = layer.parametrizations.weight.original, torch.randn(6, 3, dtype=torch.double)
    outputs = layer(h)
    objective = _score(outputs).mean()
    gradient, delta = torch.autograd.grad(objective, (raw, outputs))
    with torch.no_grad():
        expected = _right_side_of_equation_12(raw, 6 * delta[:, None], h[:, None], layer.weight)
    torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-10)


def test_equation_12_for_a_convolution() -> None:
    """The same with one h a position: the patch that the kernel covers."""
    layer = layer_of("conv 7x5x3x3", double=True, iterations=600)
    raw, x = layer.parametrizations.weight.original, torch.randn(4, 5, 6, 5, dtype=torch.double)
    outputs = layer(x)
    gradient, delta = torch.autograd.grad(_score(outputs).mean(), (raw, outputs))
    with torch.no_grad():
        patches = F.unfold(x, 3).transpose(1, 2)
        deltas = 4 * delta.flatten(2).transpose(1, 2)
        expected = _right_side_of_equation_12(raw.flatten(1), deltas, patches, layer.weight.flatten(1))
    torch.testing.assert_close(gradient.flatten(1), expected, rtol=1e-8, atol=1e-10)


def discriminator(seed: int = 0, **settings: object) -> tuple[Discriminator, Constraint]:
    torch.manual_seed(seed)
    D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=3, channels=4))
    return D, constrained(D, **settings)


def states(D: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in D.named_buffers()}


X, Y = torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32), torch.tensor([2, 0])


def test_every_weight_matrix_has_one_u_and_no_v() -> None:
    D, _ = discriminator()
    weights = [name for name, _ in D.named_parameters() if name.endswith("weight.original")]
    assert sorted(states(D)) == sorted(name.replace("original", "0.u") for name in weights)
    assert len(weights) == 2 * 4 + 2 + 2  # convolutions, learned skips, score layer and embedding
    for name, layer in D.named_modules():
        if hasattr(layer, "parametrizations"):
            assert u_of(layer).shape == (layer.weight.shape[0],), name


def test_fresh_u_is_standard_normal() -> None:
    layer = nn.Linear(2, 20_000)
    torch.manual_seed(0)
    constrained(layer)
    assert u_of(layer).mean().item() == pytest.approx(0, abs=5 / 20_000**0.5)
    assert u_of(layer).std().item() == pytest.approx(1, abs=5 / 40_000**0.5)


@torch.no_grad()
def test_in_eval_mode_only_linear_layers_and_embeddings_store_u() -> None:
    D, _ = discriminator()
    before = states(D.eval())
    D(X, Y)
    moved = {name for name, u in states(D).items() if not torch.equal(u, before[name])}
    # The score layer has one output, so its u becomes +1 or -1 at the first use and stays there.
    assert moved == {f"head.{layer}.parametrizations.weight.0.u" for layer in ("linear", "embed")}
    assert u_of(D.head.linear).abs().tolist() == [1]


@torch.no_grad()
def test_in_train_mode_every_forward_moves_every_u_by_one_round() -> None:
    D, _ = discriminator()
    layer = D.trunk.blocks[1].conv2
    raw, u = layer.parametrizations.weight.original.flatten(1), u_of(layer).clone()
    D.train()(X, Y)
    for _ in range(2):
        v = F.normalize(raw.T @ u, dim=0)
        u = F.normalize(raw @ v, dim=0)
        torch.testing.assert_close(u_of(layer), u)
        D(X, Y)  # the second forward moves it again


@torch.no_grad()
def test_without_labels_the_embedding_is_not_used_and_its_u_stays() -> None:
    D, _ = discriminator()
    before = u_of(D.head.embed).clone()
    D.train()(X)
    assert torch.equal(u_of(D.head.embed), before)


def test_rounds_at_updates_only() -> None:
    D, constraint = discriminator(power_iterations_at="update")
    before = states(D.train())
    with torch.no_grad():
        first, second = D(X, Y).score, D(X, Y).score
    assert torch.equal(first, second)
    assert all(torch.equal(u, before[name]) for name, u in states(D).items())
    constraint.after_step(D)
    layer = D.trunk.blocks[0].conv1
    raw = layer.parametrizations.weight.original.detach().flatten(1)
    v = F.normalize(raw.T @ before["trunk.blocks.0.conv1.parametrizations.weight.0.u"], dim=0)
    torch.testing.assert_close(u_of(layer), F.normalize(raw @ v, dim=0))
    assert not any(torch.equal(u, before[name]) for name, u in states(D).items())


def test_updates_move_nothing_more_where_forwards_do() -> None:
    D, constraint = discriminator()
    with torch.no_grad():
        D.train()(X, Y)
    before = states(D)
    constraint.after_step(D)
    assert all(torch.equal(u, before[name]) for name, u in states(D).items())


@torch.no_grad()
def test_the_state_goes_through_a_state_dict() -> None:
    D, _ = discriminator()
    for _ in range(3):
        D.train()(X, Y)
    other, _ = discriminator(seed=1)
    other.load_state_dict(copy.deepcopy(D.state_dict()), strict=True)
    for _ in range(2):
        assert torch.equal(other.train()(X, Y).score, D(X, Y).score)
    assert all(torch.equal(u, states(D)[name]) for name, u in states(other).items())


def test_a_plain_state_dict_does_not_load() -> None:
    D, _ = discriminator()
    plain = Discriminator(D.config)
    with pytest.raises(RuntimeError, match=r"Missing key.*parametrizations.weight.0.u"):
        D.load_state_dict(plain.state_dict())


@torch.no_grad()
def test_the_weight_given_is_the_weight_normalised() -> None:
    """Attaching changes no number of the raw weight, so one initialised before stays initialised."""
    torch.manual_seed(0)
    plain = Discriminator(DiscriminatorConfig(resolution=32, num_classes=3, channels=4))
    D, _ = discriminator()
    raw = {name.replace("parametrizations.weight.original", "weight"): p for name, p in D.named_parameters()}
    assert raw.keys() == dict(plain.named_parameters()).keys()
    assert all(torch.equal(raw[name], parameter) for name, parameter in plain.named_parameters())


def test_excluded_layers_stay_as_they_are() -> None:
    D, _ = discriminator(exclude=("head.embed", "trunk.blocks.0.skip"))
    assert not hasattr(D.head.embed, "parametrizations")
    assert not hasattr(D.trunk.blocks[0].skip, "parametrizations")
    assert hasattr(D.head.linear, "parametrizations")
    message = "exclude='head.embedding': no such layer; layers are trunk.blocks.0.conv1, "
    refused(lambda: discriminator(exclude=("head.embedding",)), message)


@torch.no_grad()
def test_sigma_is_taken_in_float32_under_autocast() -> None:
    layer = layer_of("linear 19x3")
    expected, u = layer.weight, u_of(layer).clone()
    again = layer_of("linear 19x3")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(again.weight, expected)
    assert torch.equal(u_of(again), u)
