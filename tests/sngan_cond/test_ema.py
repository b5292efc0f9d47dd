"""The average of parameters, and the copy of buffers."""

import pytest
import torch

from sngan_cond import Ema
from sngan_cond.networks.layers import BatchNorm2d
from tests.refusals import refused


def network(value: float) -> BatchNorm2d:
    norm = BatchNorm2d(2)
    with torch.no_grad():
        norm.weight.fill_(value)
        norm.bias.fill_(-2 * value)
    norm.running_mean.fill_(10 * value)
    norm.num_batches_tracked.fill_(int(value))
    return norm


def test_parameters_average_and_buffers_copy() -> None:
    ema = Ema(network(1.0), decay=0.9)
    ema.update(network(2.0), step=0)
    ema.update(network(4.0), step=1)
    expected = 0.9 * (0.9 * 1 + 0.1 * 2) + 0.1 * 4
    torch.testing.assert_close(ema.network.weight, torch.full((2,), expected))
    torch.testing.assert_close(ema.network.bias, torch.full((2,), -2 * expected))
    assert ema.network.running_mean.tolist() == [40, 40]
    assert ema.network.num_batches_tracked.item() == 4


def test_the_start_copies() -> None:
    ema = Ema(network(1.0), decay=0.9, start=2)
    for step, value in enumerate((3.0, 5.0)):
        ema.update(network(value), step=step)
        assert ema.network.weight.tolist() == [value, value]
    ema.update(network(7.0), step=2)
    torch.testing.assert_close(ema.network.weight, torch.full((2,), 0.9 * 5 + 0.1 * 7))


def test_no_decay_copies() -> None:
    ema = Ema(network(1.0), decay=0.0)
    ema.update(network(2.0), step=0)
    assert ema.network.weight.tolist() == [2, 2]


def test_it_is_a_copy_in_eval_mode_without_gradients() -> None:
    source = network(1.0).train()
    ema = Ema(source, decay=0.5)
    assert not ema.network.training
    assert not any(parameter.requires_grad for parameter in ema.network.parameters())
    assert all(parameter.requires_grad for parameter in source.parameters())
    ema.update(network(3.0), step=0)
    assert source.weight.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"decay": 1.0}, "decay=1.0: "), ({"decay": -0.1}, "decay=-0.1: "), ({"decay": 0.9, "start": -1}, "start=-1: ")],
)
def test_limits(fields: dict[str, float], message: str) -> None:
    refused(lambda: Ema(network(1.0), **fields), message)
