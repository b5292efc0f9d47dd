"""Gradients in one flat buffer: where each lies, what several passes sum up, what is not finite."""

import pytest
import torch

from sngan_cond import ConstraintConfig, Discriminator, DiscriminatorConfig, build_constraint
from train.trainer.gradients import Gradients


def network(layout: torch.memory_format = torch.contiguous_format) -> Discriminator:
    torch.manual_seed(0)
    D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=3, channels=3))
    build_constraint(ConstraintConfig(power_iterations_at="update")).attach(D)
    return D.double().to(memory_format=layout)


def loss(D: Discriminator, seed: int) -> torch.Tensor:
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)).double()
    return D(x, torch.tensor([0, 2])).score.square().mean()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_each_gradient_lies_in_the_buffer_as_its_parameter_lies(layout: torch.memory_format) -> None:
    """Whatever layout a backward pass makes it in: nothing is cloned, and none is replaced."""
    D = network(layout)
    gradients = Gradients(D)
    parameters = list(D.parameters())
    assert (layout == torch.channels_last) == any(not p.is_contiguous() for p in parameters)
    addresses = [p.grad.data_ptr() for p in parameters]
    first, end = gradients.flat.data_ptr(), gradients.flat.data_ptr() + gradients.flat.nbytes
    for _ in range(2):
        loss(D, 1).backward()
        assert [p.grad.data_ptr() for p in parameters] == addresses
        assert all(p.grad.stride() == p.stride() for p in parameters)
    assert all((address - first) % 16 == 0 for address in addresses)
    spans = sorted((address, address + p.grad.nbytes) for address, p in zip(addresses, parameters, strict=True))
    assert all(a[1] <= b[0] for a, b in zip(spans, [*spans[1:], (end - 8, end)], strict=True))  # the loss comes last


def test_passes_sum_up_the_mean_over_micro_batches_and_processes() -> None:
    """Three processes with two micro-batches each, one after the other: their sum is the exchange's."""
    D, plain = network(), network()
    gradients = Gradients(D, processes=3, statistics=("score", "sign"))
    loss(D, 9).backward()
    gradients.zero_()
    losses = [loss(D, seed) for seed in range(6)]
    for i, total in enumerate(losses):
        parts = {"sign": torch.tensor(i % 4 - 0.5), "score": torch.tensor(2.0**i), "loss": total.detach()}
        gradients.share(total, 2, parts).backward()
    expected = torch.autograd.grad(sum(loss(plain, seed) for seed in range(6)) / 6, list(plain.parameters()))
    for parameter, gradient in zip(D.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(gradients.flat[-3], torch.stack(losses).mean().detach(), rtol=1e-12, atol=0)
    assert {name: float(value) for name, value in gradients.statistics.items()} == pytest.approx(
        {"score": 63 / 6, "sign": 7 / 6 - 0.5}, rel=1e-6
    )


def test_an_optimiser_that_takes_gradients_away_gets_them_again() -> None:
    D = network()
    gradients = Gradients(D)
    torch.optim.Adam(D.parameters()).zero_grad()
    assert all(parameter.grad is None for parameter in D.parameters())
    gradients.zero_()
    loss(D, 1).backward()
    assert gradients.flat.count_nonzero() > 100


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 1e300])  # its square is too large
def test_one_number_that_is_not_finite_is_enough(value: float) -> None:
    D = network()
    gradients = Gradients(D)
    loss(D, 1).backward()
    assert gradients.finite(gradients.norm())
    next(D.parameters()).grad.view(-1)[-1] = value
    assert not gradients.finite(gradients.norm())
    gradients.zero_()
    gradients.share(torch.tensor(value, dtype=torch.float64), 1, {})  # of the loss
    assert not gradients.finite(gradients.norm())
    gradients.zero_()
    assert gradients.finite(gradients.norm())


def test_a_parameter_that_no_gradient_reaches_stays_under_adam() -> None:
    """A gradient of zeros moves nothing, as none does."""
    D = network()
    D.unused = torch.nn.Parameter(torch.tensor([0.5, -3.0]).double())
    optimizer = torch.optim.Adam(D.parameters(), fused=True)
    Gradients(D)
    for seed in range(3):
        loss(D, seed).backward()
        optimizer.step()
    assert D.unused.tolist() == [0.5, -3.0]
