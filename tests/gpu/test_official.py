"""The official fixtures on a GPU: networks, losses, gradients, and the trajectory through the trainer's own updates."""

from collections.abc import Iterator

import pytest
import torch

from tests.sngan_cond import test_official_training as training
from tests.sngan_cond.fast.official_trajectory import trajectory as trained
from tests.sngan_cond.networks import test_official_networks as networks
from train.trainer import cuda_graphs
from train.trainer.speed import SpeedConfig

pytestmark = pytest.mark.gpu

test_images = networks.test_generator_makes_the_official_images
test_class_mixtures = networks.test_class_mixtures_blend_gains_and_biases_as_the_official_code_does
test_running_statistics = networks.test_generator_in_train_mode_and_its_running_statistics
test_scores_and_u = networks.test_discriminator_scores_and_power_iteration
test_projection = networks.test_without_labels_the_projection_adds_nothing
test_sigma = networks.test_sigma_after_one_round_and_after_many

one_update = training.one_update
test_losses = training.test_losses_and_scores
test_gradients = training.test_gradients
test_u = training.test_u_after_the_d_update

test_trajectory_losses = training.test_losses_along_the_trajectory
test_trajectory_weights = training.test_weights_along_the_trajectory
test_trajectory_biases = training.test_biases_without_a_gradient_wander_and_only_running_means_notice
test_trajectory_moments = training.test_adam_moments_at_the_end

# "auto" is on for a GPU and off in a dry run, which therefore neither compiles nor asks for graphs.
SWITCHES = [
    pytest.param(SpeedConfig(compile=False, capture=False, batched_sn=False, memory_format="contiguous"), id="plain"),
    pytest.param(SpeedConfig(compile=False, capture=False), id="eager"),
    pytest.param(SpeedConfig(compile=False), id="captured"),
    pytest.param(SpeedConfig(), id="compiled"),
]


@pytest.fixture(scope="module", params=SWITCHES)
def trajectory(request: pytest.FixtureRequest, device: torch.device) -> Iterator[dict[str, object]]:
    """Three iterations, of which graphs play all but the first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_graphs, "WARM_UP_UPDATES", 1)
        yield trained(request.param, device)
