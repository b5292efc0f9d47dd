"""All official fixtures once more, with the minimal backend on every layer, however narrow."""

from collections.abc import Iterator

import pytest

from sngan_cond.networks.layers import BatchNorm2d, ConditionalBatchNorm2d, ConvMeanPool2d, SameConv2d, UpsampleConv2d
from tests.reference.fixtures import GRADIENT, load, norm_error
from tests.reference.names import official_parameters
from tests.sngan_cond import test_official_training as training
from tests.sngan_cond.networks import test_official_networks as networks

LAYERS = (BatchNorm2d, ConditionalBatchNorm2d, ConvMeanPool2d, SameConv2d, UpsampleConv2d)
# Squares of gradients that are rounding noise are bounded there by 1e-12 of the largest; here by 1e-11, below.
REPLACED = ("test_adam_moments_at_the_end",)

for _module in (networks, training):
    for _name, _value in vars(_module).items():
        if (_name.startswith("test_") and _name not in REPLACED) or _name in ("trajectory", "one_update"):
            globals()[_name] = _value


@pytest.fixture(scope="module", autouse=True)
def _minimal_everywhere() -> Iterator[None]:
    for layer in LAYERS:
        layer.backend = "minimal"
    yield
    for layer in LAYERS:
        layer.backend = "auto"


@pytest.mark.parametrize("letter", ["gen", "dis"])
def test_moments_at_the_end(trajectory: dict, letter: str) -> None:
    official = load(f"tiny_traj32_c5.opt_{letter}_final")
    network, optimiser = trajectory["G" if letter == "gen" else "D"], trajectory["opt"][letter == "dis"]
    largest = max(array.max() for path, array in official.items() if path.endswith("/v"))
    for path, parameter in official_parameters(network).items():
        state = optimiser.state[parameter]
        if letter == "gen" and training.ZERO_GRADIENT.fullmatch(path):
            assert max(state["exp_avg_sq"].max().item(), official[f"{path}/v"].max()) <= 1e-11 * largest, path
        else:
            assert norm_error(state["exp_avg_sq"], official[f"{path}/v"]) <= GRADIENT, path
