"""Power iteration and division by the norm, fused and batched, against the plain operations layer by layer."""

import copy

import pytest
import torch
from torch import nn

from sngan_cond import ConstraintConfig, Discriminator, DiscriminatorConfig, build_constraint
from sngan_cond.constraints.spectral import BatchedPowerIterations
from sngan_cond.fast.power_iteration import _like, divide_by_norm, power_iteration, rows_in_memory


@pytest.mark.parametrize("rounds", [1, 3])
def test_sigma_is_read_off_the_last_round(rounds: int) -> None:
    torch.manual_seed(0)
    matrix, start = torch.randn(6, 11), torch.randn(6)
    u, v, sigma = power_iteration(matrix, start, rounds)
    plain_u = start
    for _ in range(rounds):  # Miyato et al. 2018, equations 20 and 21, with the official max_sv.py's 1e-12
        plain_v = matrix.mT @ plain_u
        plain_v = plain_v / (plain_v.norm() + 1e-12)
        plain_u = matrix @ plain_v
        plain_u = plain_u / (plain_u.norm() + 1e-12)
    assert torch.equal(u, plain_u)
    assert torch.equal(v, plain_v)
    torch.testing.assert_close(sigma, u @ matrix @ v, rtol=1e-6, atol=0)


LAYOUTS = (torch.contiguous_format, torch.channels_last)


@pytest.mark.parametrize("weight_layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("gradient_layout", LAYOUTS, ids=str)
def test_division_has_the_plain_derivatives(
    weight_layout: torch.memory_format, gradient_layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(4, 3, 3, 2).double().contiguous(memory_format=weight_layout).requires_grad_()
    grad = torch.randn(4, 3, 3, 2).double().contiguous(memory_format=gradient_layout)
    start = torch.randn(4).double()
    u, v, sigma = power_iteration(rows_in_memory(weight.detach()), start, 1)
    plain_u, plain_v, _ = power_iteration(weight.detach().flatten(1), start, 1)
    torch.testing.assert_close(u, plain_u, rtol=1e-14, atol=1e-15)
    plain = weight / (u @ (weight.flatten(1) @ plain_v))
    ours = divide_by_norm(weight, u, v, sigma)
    torch.testing.assert_close(ours, plain, rtol=1e-14, atol=0)
    for create_graph in (False, True):
        gradients = [
            torch.autograd.grad(y, weight, grad, create_graph=create_graph, retain_graph=True)[0] for y in (ours, plain)
        ]
        torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-14)
    assert torch.autograd.grad(ours, weight, grad, retain_graph=True)[0].stride() == weight.stride()
    second = [torch.autograd.grad(gradient.square().sum(), weight, retain_graph=True)[0] for gradient in gradients]
    torch.testing.assert_close(*second, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("shape", [(4, 3, 3, 2), (4, 3, 1, 1), (4, 1, 3, 3), (4, 3)])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_weight_is_seen_as_rows_in_every_layout(shape: tuple[int, ...], transposed: bool) -> None:
    weight = torch.randn(shape)
    if transposed:
        weight = (
            weight.t().contiguous().t() if len(shape) == 2 else weight.contiguous(memory_format=torch.channels_last)
        )
    rows = rows_in_memory(weight)
    assert (rows.data_ptr() == weight.data_ptr() and rows.is_contiguous()) or len(shape) == 2
    torch.testing.assert_close(rows.norm(dim=1), weight.flatten(1).norm(dim=1))
    torch.testing.assert_close(torch.linalg.svdvals(rows), torch.linalg.svdvals(weight.flatten(1)))
    assert torch.equal(_like(rows.clone(memory_format=torch.contiguous_format), weight), weight)


@pytest.mark.parametrize("architecture", ["resnet", "cnn", "dcgan"])
@pytest.mark.parametrize("weight_layout", LAYOUTS, ids=str)
def test_gradients_do_not_depend_on_the_layout_of_images_or_weights(
    architecture: str, weight_layout: torch.memory_format
) -> None:
    """Real images come channels-last; the layout decides in which one a convolution makes its gradient.

    In float64, where no activation is so near to 0 that rounding decides its slope.
    """
    torch.manual_seed(0)
    reference = Discriminator(DiscriminatorConfig(resolution=32, num_classes=5, channels=8, architecture=architecture))
    build_constraint(ConstraintConfig()).attach(reference.double())
    x, y = torch.randn(4, 3, 32, 32).double(), torch.randint(5, (4,))
    D = copy.deepcopy(reference).to(memory_format=weight_layout)
    reference(x, y).score.sin().sum().backward()
    D(x.contiguous(memory_format=torch.channels_last), y).score.sin().sum().backward()
    for (name, ours), expected in zip(D.named_parameters(), reference.parameters(), strict=True):
        error = (ours.grad - expected.grad).norm() / expected.grad.norm()
        assert error < 1e-12, name  # sums in another order; without equation 12's second term 0.01 to 0.6


@pytest.mark.parametrize("iterates_at", ["forward", "update"])
def test_batched_iteration_changes_nothing(iterates_at: str) -> None:
    """Train and eval mode, with labels and without (the embedding is not used then, and its u must stand still)."""
    torch.manual_seed(0)
    plain = Discriminator(DiscriminatorConfig(resolution=32, num_classes=5, channels=8))
    constraint = build_constraint(ConstraintConfig(power_iterations_at=iterates_at, iterations=2))
    constraint.attach(plain)
    batched = copy.deepcopy(plain)
    BatchedPowerIterations().attach(batched)
    x, y = torch.randn(4, 3, 32, 32), torch.randint(5, (4,))
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    for labels, training in ((y, True), (None, True), (y, False), (y, True)):
        scores = [network.train(training)(x, labels).score for network in (plain, batched)]
        assert torch.equal(*scores)
        for score in scores:
            score.sum().backward()
        for network in (plain, batched):
            constraint.after_step(network)
        for ours, expected in zip(batched.state_dict().values(), plain.state_dict().values(), strict=True):
            assert torch.equal(ours, expected)
        for ours, expected in zip(batched.parameters(), plain.parameters(), strict=True):
            assert torch.equal(ours.grad, expected.grad)
    moved = [name for name, value in plain.state_dict().items() if not torch.equal(value, before[name])]
    assert len(moved) == 12  # u of every layer


def test_a_pass_that_fails_leaves_nothing_behind() -> None:
    D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=5, channels=8))
    build_constraint(ConstraintConfig()).attach(D)
    BatchedPowerIterations().attach(D)

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    D.trunk.blocks[1].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        D(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))
    assert all(getattr(module, "ready", None) is None for module in D.modules())


def test_the_gradient_costs_one_tensor_of_the_weights_size() -> None:
    weight = nn.Parameter(torch.randn(64, 64, 3, 3))
    u, v, sigma = power_iteration(weight.detach().flatten(1), torch.randn(64), 1)
    normalised = divide_by_norm(weight, u, v, sigma)
    saved = normalised.grad_fn.saved_tensors
    assert [t.data_ptr() for t in saved if t.numel() == weight.numel()] == [weight.data_ptr()]
