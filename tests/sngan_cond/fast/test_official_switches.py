"""The official trajectory through the trainer's own updates: every speed switch that a CPU has, and two processes."""

import dataclasses
from typing import Any

import pytest

from tests.compiling import little_code
from tests.sngan_cond import test_official_training as training
from tests.sngan_cond.fast import test_official_fast as fast
from tests.sngan_cond.fast.official_trajectory import EAGER, trajectory_of_two
from tests.sngan_cond.fast.official_trajectory import trajectory as trained
from train.trainer.speed import SpeedConfig

COMPILED = dataclasses.replace(EAGER, compile=True)
COMPILED_MARKS = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # compilers share the processors with other tests
    # PyTorch hides this warning of its tracer's by a hook that a filter of "error" runs ahead of.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated"),  # by what PyTorch 2.11 itself imports
]
WAYS = {
    "default": SpeedConfig(),
    "eager": EAGER,
    "compiled": pytest.param(COMPILED, marks=COMPILED_MARKS),
    "two processes": pytest.param(None, marks=pytest.mark.slow),
}

test_losses = training.test_losses_along_the_trajectory
test_scores = training.test_scores_along_the_trajectory
test_weights = training.test_weights_along_the_trajectory
test_moments = fast.test_moments_at_the_end
test_biases = training.test_biases_without_a_gradient_wander_and_only_running_means_notice


@pytest.fixture(scope="module", params=WAYS.values(), ids=list(WAYS))
def trajectory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if request.param is None:
        return trajectory_of_two(tmp_path_factory.mktemp("trajectory"))
    with little_code(size=100):
        return trained(request.param)
