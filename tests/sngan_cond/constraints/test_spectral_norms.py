"""Every spectral normalisation against exact decompositions of the matrix that it promises to normalise."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sngan_cond.constraints.spectral import SpectralNormalization
from sngan_cond.constraints.views import OperatorView, views_of
from sngan_cond.constraints.weight_matrices import raw_weight
from sngan_cond.networks.layers import ConvMeanPool2d, UpsampleConv2d
from tests.sngan_cond.constraints.helpers import CONVERGED, constrained, dense, outputs_first, top_singular_value


def inputs_first(weight: Tensor, layer: nn.Module) -> Tensor:
    if isinstance(layer, nn.ConvTranspose2d):
        return weight.reshape(weight.shape[0], -1)
    return weight.permute(1, 0, 2, 3).reshape(weight.shape[1], -1)


LAYERS = {
    "conv": lambda: nn.Conv2d(5, 7, 3, padding=1),
    "strided": lambda: nn.Conv2d(7, 3, 4, stride=2, padding=1),
    "transposed": lambda: nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1),
    "linear": lambda: nn.Linear(11, 4),
    "embedding": lambda: nn.Embedding(6, 9),
}


@pytest.mark.parametrize("name", ["conv", "strided", "transposed"])
def test_bidirectional_norm_is_the_mean_of_both_views(name: str) -> None:
    torch.manual_seed(1)
    layer = LAYERS[name]()
    raw = layer.weight.detach().clone()
    views = [top_singular_value(view(raw, layer)) for view in (outputs_first, inputs_first)]
    assert abs(views[0] - views[1]) > 0.05  # else the mean proves nothing
    constrained(layer, iterations=CONVERGED, estimate="bidirectional")
    torch.testing.assert_close(layer.weight, raw / (sum(views) / 2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["linear", "embedding"])
def test_bidirectional_form_of_a_matrix_is_plain(name: str) -> None:
    layer = LAYERS[name]()
    constrained(layer, estimate="bidirectional")
    assert [name for name, _ in layer.named_buffers()] == ["parametrizations.weight.0.u"]


@pytest.mark.parametrize("estimate", ["matrix", "bidirectional"])
def test_scale_multiplies_the_normalised_weight(estimate: str) -> None:
    torch.manual_seed(2)
    plain, scaled = LAYERS["conv"](), LAYERS["conv"]()
    scaled.load_state_dict(plain.state_dict())
    constrained(plain, iterations=CONVERGED, estimate=estimate)
    constrained(scaled, iterations=CONVERGED, estimate=estimate, scale=1.75)
    torch.testing.assert_close(scaled.weight, 1.75 * plain.weight, rtol=1e-4, atol=1e-6)


def test_random_factors_have_the_scale_as_their_geometric_mean() -> None:
    def norms(seed: int) -> list[float]:
        torch.manual_seed(2)
        network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(20, 7), nn.Linear(7, 2))
        constrained(network, iterations=CONVERGED, scale=1.75, scale_spread=0.5, scale_seed=seed)
        return [top_singular_value(outputs_first(network[i].weight.detach(), network[i])) for i in (0, 2, 3)]

    found = norms(1)
    assert torch.tensor(found).log().mean().exp().item() == pytest.approx(1.75, rel=1e-4)
    assert max(found) / min(found) > 1.2
    assert norms(1) == found
    assert norms(2) != pytest.approx(found, rel=1e-2)


CONVOLUTIONS = {
    "same": (lambda: nn.Conv2d(3, 4, 3, padding=1), (3, 5, 5)),
    "no padding": (lambda: nn.Conv2d(3, 4, 3), (3, 6, 4)),
    "stride 2, even side": (lambda: nn.Conv2d(2, 5, 4, stride=2, padding=1), (2, 6, 6)),
    "stride 2, odd side": (lambda: nn.Conv2d(2, 3, 5, stride=2, padding=2), (2, 7, 7)),
    "stride 3, border cut off": (lambda: nn.Conv2d(2, 3, 3, stride=3, padding=1), (2, 8, 7)),
    "pointwise": (lambda: nn.Conv2d(4, 3, 1), (4, 3, 3)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1), (3, 4, 4)),
    "transposed, output padding": (
        lambda: nn.ConvTranspose2d(2, 3, 5, stride=2, padding=2, output_padding=1),
        (2, 4, 3),
    ),
    "pooled": (lambda: ConvMeanPool2d(3, 4, 3), (3, 6, 6)),
    "upsampled": (lambda: UpsampleConv2d(3, 2, 3), (3, 3, 4)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_operator_norm_is_that_of_the_dense_jacobian(name: str) -> None:
    torch.manual_seed(3)
    make, shape = CONVOLUTIONS[name]
    layer = make().double()
    with torch.no_grad():
        layer.weight.add_(0.1)  # one direction leads, so that power iteration comes to rest
    raw = dense(layer, shape)
    views = views_of(layer, "operator", torch.Size((1, *shape)))
    normalisation = SpectralNormalization(layer, views, iterations=2 * CONVERGED)
    sigma = top_singular_value(raw)
    assert float(normalisation.exact(layer.weight)) == pytest.approx(sigma, rel=1e-3)  # 200 rounds
    parametrize.register_parametrization(layer, "weight", normalisation, unsafe=True)
    torch.testing.assert_close(dense(layer, shape), raw / sigma, rtol=1e-6, atol=1e-8)
    assert top_singular_value(dense(layer, shape)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_adjoint_is_the_transpose(name: str) -> None:
    torch.manual_seed(4)
    make, shape = CONVOLUTIONS[name]
    layer = make().double()
    matrix = OperatorView(layer, torch.Size((1, *shape))).matrix(layer.weight.detach())
    x = torch.randn(1, *shape, dtype=torch.float64)
    image = matrix.matmul(x)
    y = torch.randn_like(image)
    assert float((image * y).sum()) == pytest.approx(float((x * matrix.mT.matmul(y)).sum()), rel=1e-10)


def exact_norm(kind: str, weight: Tensor, layer: nn.Module) -> Tensor:
    if kind == "matrix":
        return torch.linalg.svdvals(outputs_first(weight, layer))[0]
    if kind == "bidirectional":
        return sum(torch.linalg.svdvals(view(weight, layer))[0] for view in (outputs_first, inputs_first)) / 2
    shape = (3, 5, 5)
    basis = torch.eye(75, dtype=weight.dtype).reshape(75, *shape)
    return torch.linalg.svdvals(nn.functional.conv2d(basis, weight, padding=1).flatten(1))[0]


@pytest.mark.parametrize("kind", ["matrix", "bidirectional", "operator"])
def test_gradient_is_that_of_exact_normalisation(kind: str) -> None:
    """At the fixed point of power iteration, holding u and v constant gives the true derivative of W / |W|."""
    torch.manual_seed(5)
    layer = nn.Conv2d(3, 4, 3, padding=1).double()
    with torch.no_grad():
        layer.weight.add_(0.3)  # one direction leads clearly, so that power iteration comes to rest
    views = views_of(layer, kind, torch.Size((1, 3, 5, 5)))
    normalisation = SpectralNormalization(layer, views, iterations=2 * CONVERGED)
    weight = layer.weight.detach().clone().requires_grad_()
    direction = torch.randn_like(weight)
    (gradient,) = torch.autograd.grad((normalisation(weight) * direction).sum(), weight)

    def exactly(w: Tensor) -> float:
        return float((w / exact_norm(kind, w, layer) * direction).sum())

    step = 1e-6
    for index in [(0, 0, 0, 0), (1, 2, 0, 1), (3, 1, 2, 2), (2, 0, 1, 1)]:
        moved = torch.zeros_like(weight)
        moved[index] = step
        difference = (exactly(weight.detach() + moved) - exactly(weight.detach() - moved)) / (2 * step)
        # central differences are right to about step^2 and 1e-16 / step
        assert float(gradient[index]) == pytest.approx(difference, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("estimate", ["matrix", "bidirectional"])
def test_state_moves_once_an_update_when_told_so(estimate: str) -> None:
    torch.manual_seed(6)
    layer = LAYERS["conv"]()
    constraint = constrained(layer, estimate=estimate, power_iterations_at="update")
    before = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    first, second = layer.weight, layer.weight
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert all(torch.equal(buffer, before[name]) for name, buffer in layer.named_buffers())
    constraint.after_step(layer)
    assert all(not torch.equal(buffer, before[name]) for name, buffer in layer.named_buffers())


@pytest.mark.parametrize("name", ["conv", "transposed"])
@pytest.mark.parametrize("estimate", ["matrix", "bidirectional"])
def test_convolutions_keep_their_state_in_eval(name: str, estimate: str) -> None:
    torch.manual_seed(7)
    layer = LAYERS[name]()
    constrained(layer, estimate=estimate)
    layer.eval()
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    _ = layer.weight
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
    layer.train()
    _ = layer.weight
    changed = {key for key, value in layer.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key in before if ".0.u" in key}


def test_rounds_add_up() -> None:
    """Three rounds at once are one round thrice, from the same state."""
    torch.manual_seed(8)
    layer = LAYERS["conv"]()
    views = views_of(layer, "matrix", None)
    thrice, at_once = (SpectralNormalization(layer, views, iterations=rounds) for rounds in (1, 3))
    at_once.load_state_dict(thrice.state_dict())
    weight = raw_weight(layer).detach()
    for _ in range(3):
        last = thrice(weight)
    torch.testing.assert_close(at_once(weight), last)
