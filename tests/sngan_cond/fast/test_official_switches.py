"""The official trajectory through the trainer's own updates, with every speed switch that a CPU has."""

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from sngan_cond import ConstraintConfig, LossConfig, build_constraint
from sngan_cond.objectives import DiscriminatorBatch
from tests.reference.fixtures import load, tensor
from tests.sngan_cond import test_official_training as training
from tests.sngan_cond.fast import test_official_fast as fast
from train.trainer.speed import SpeedConfig, lay_out
from train.trainer.update import Updates

CPU = torch.device("cpu")
PLAIN = SpeedConfig()
EAGER = SpeedConfig(convolution="minimal", memory_format="channels_last", batched_sn=True)
COMPILED = SpeedConfig(convolution="minimal", memory_format="channels_last", batched_sn=True, compile=True)
COMPILED_MARKS = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # compilers share the processors with other tests
    # PyTorch hides this warning of its tracer's by a hook that a filter of "error" runs ahead of.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]

test_losses = training.test_losses_along_the_trajectory
test_scores = training.test_scores_along_the_trajectory
test_weights = training.test_weights_along_the_trajectory
test_moments = fast.test_moments_at_the_end
test_biases = training.test_biases_without_a_gradient_wander_and_only_running_means_notice


SWITCHES = [PLAIN, EAGER, pytest.param(COMPILED, marks=COMPILED_MARKS)]


@pytest.fixture(scope="module", params=SWITCHES, ids=["default", "eager", "compiled"])
def trajectory(request: pytest.FixtureRequest) -> dict[str, object]:
    """Three iterations as in `test_official_training`: one G update, then two D updates."""
    io = load("tiny_traj32_c5")
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=True)
    G, D = training._pair()
    scores = training._scores(D)
    for network in (G, D):
        lay_out(network, request.param, CPU)
    opt_g, opt_d = (torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.0, 0.9), fused=True) for n in (G, D))
    updates = Updates(
        accelerator,
        G=G,
        D=D,
        opt_g=opt_g,
        opt_d=opt_d,
        constraint=build_constraint(ConstraintConfig()),
        loss=LossConfig(kind="hinge"),
        speed=request.param,
    )
    assert updates.notes == ()
    losses, weights = {}, []
    for i in range(3):
        at = f"it{i}/gstep"
        losses[at] = updates.step_g([(tensor(io[f"{at}/z"]), tensor(io[f"{at}/y"]))])["loss"].item()
        for j in range(2):
            at = f"it{i}/dstep{j}"
            x, *others = (tensor(io[f"{at}/{key}"]) for key in ("x_real", "y_real", "z", "y_fake"))
            batch = DiscriminatorBatch(x.contiguous(memory_format=torch.channels_last), *others)  # as they are fed
            losses[at] = updates.step_d([batch])["loss"].item()
        weights.append({name: training._numbers(network) for name, network in (("gen", G), ("dis", D))})
    return {"io": io, "G": G, "D": D, "opt": (opt_g, opt_d), "losses": losses, "scores": scores, "weights": weights}
