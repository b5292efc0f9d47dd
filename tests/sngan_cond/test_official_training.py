"""Losses, gradients and three iterations of training against the official implementation."""

import copy
import re

import numpy as np
import pytest
import torch
from torch import Tensor

from sngan_cond import Constraint, Discriminator, Generator, LossConfig
from sngan_cond.convert import discriminator_from_chainer, generator_from_chainer
from sngan_cond.objectives import DiscriminatorBatch, Objective, discriminator_objective, generator_objective
from tests.reference import functional
from tests.reference.fixtures import (
    GRADIENT,
    LOSS,
    OFFICIAL,
    STATISTICS,
    TRAIN_OUTPUT,
    TRAJECTORY_LOSS,
    TRAJECTORY_WEIGHT,
    U,
    absolute_error,
    allowed,
    load,
    norm_error,
    part,
    relative_error,
    tensor,
)
from tests.reference.names import official_layers, official_parameters

LOSSES = {"hinge": LossConfig(kind="hinge"), "dcgan": LossConfig(kind="non_saturating")}  # official name first

# A batch normalisation follows every convolution of G's blocks, at once or after the sum with the skip, and takes away
# whatever a bias adds to a channel. The true gradient of these biases is zero; what is computed is rounding noise.
ZERO_GRADIENT = re.compile(r"block\d/(c1|c2|c_sc)/b")


def _pair(device: torch.device) -> tuple[Generator, Discriminator]:
    G = generator_from_chainer(OFFICIAL / "tiny_g32_c5.npz").train()
    D = discriminator_from_chainer(OFFICIAL / "tiny_d32_c5.npz").train()
    return G.to(device), D.to(device)


def _g_objective(G: Generator, D: Discriminator, z: Tensor, y: Tensor, loss: LossConfig) -> Objective:
    """Loss of one G update with D's parameters out of the graph; D's u moves all the same."""
    D.requires_grad_(False)
    objective = generator_objective(D, G, z, y, loss=loss)
    D.requires_grad_(True)
    return objective


def _scores(D: Discriminator) -> list[torch.Tensor]:
    """Collect the scores of every call of D from now on."""
    scores: list[torch.Tensor] = []
    D.register_forward_hook(lambda _module, _inputs, output: scores.append(output.score.detach()))
    return scores


@pytest.fixture(scope="module", params=LOSSES)
def one_update(request: pytest.FixtureRequest, device: torch.device) -> dict[str, object]:
    """Both objectives and every gradient, each from the snapshots as stored."""
    io, loss = load("tiny_pair32_c5"), LOSSES[request.param]
    G, D = _pair(device)
    g_scores = _scores(D)
    g = _g_objective(G, D, *(tensor(io[key], device) for key in ("z_g", "y_g")), loss)
    g.total.backward()
    assert all(parameter.grad is None for parameter in D.parameters())
    fresh_G, D = _pair(device)
    d_scores = _scores(D)
    batch = DiscriminatorBatch(*(tensor(io[key], device) for key in ("x_real", "y_real", "z_d", "y_d")))
    d = discriminator_objective(D, fresh_G, batch, loss=loss, constraint=Constraint())
    d.total.backward()
    assert all(parameter.grad is None for parameter in fresh_G.parameters())
    return {"io": io, "kind": request.param, "G": G, "D": D, "g": g, "d": d, "scores": g_scores + d_scores}


def test_losses_and_scores(one_update: dict, device: torch.device) -> None:
    io, kind = one_update["io"], one_update["kind"]
    assert relative_error(one_update["g"].total, io[f"{kind}/loss_gen"]) <= allowed(LOSS, device)
    assert relative_error(one_update["d"].total, io[f"{kind}/loss_dis"]) <= allowed(LOSS, device)
    for score, key in zip(one_update["scores"], ("fake_gstep", "real_dstep", "fake_dstep"), strict=True):
        assert relative_error(score, io[f"{kind}/dis_{key}"]) <= allowed(TRAIN_OUTPUT, device), key


@pytest.mark.parametrize("letter", ["gen", "dis"])
def test_gradients(one_update: dict, letter: str, device: torch.device) -> None:
    io, kind = one_update["io"], one_update["kind"]
    parameters = official_parameters(one_update["G" if letter == "gen" else "D"])
    norms = part(io, f"{kind}/gradnorm_{letter}/")
    assert parameters.keys() == norms.keys()
    largest = max(norms.values())
    for path, norm in norms.items():
        gradient = parameters[path].grad
        assert gradient is not None, path
        if letter == "gen" and ZERO_GRADIENT.fullmatch(path):
            # rounding noise on both sides; the least of the true gradients is 1e-2 of the largest
            assert max(gradient.norm().item(), norm) <= 1e-5 * largest, path
            continue
        assert abs(gradient.norm().item() - norm) <= allowed(GRADIENT, device) * norm, path
        whole, beginning = f"{kind}/grad_{letter}/{path}", f"{kind}/gradhead_{letter}/{path}"
        if whole in io:
            assert norm_error(gradient, io[whole]) <= allowed(GRADIENT, device), path
        else:  # the first entries only
            difference = gradient.flatten()[: len(io[beginning])].cpu().numpy() - io[beginning]
            assert np.linalg.norm(difference) <= allowed(GRADIENT, device) * norm, path


def test_u_after_the_d_update(one_update: dict, device: torch.device) -> None:
    for path, u in part(one_update["io"], "u_after_dstep/").items():
        layer = official_layers(one_update["D"])[path]
        assert relative_error(layer.parametrizations.weight[0].u, u) <= allowed(U, device), path


def _adam(network: torch.nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.0, 0.9), eps=1e-8)


def _step(optimiser: torch.optim.Adam, objective: Objective) -> float:
    optimiser.zero_grad()
    objective.total.backward()
    optimiser.step()
    return objective.total.item()


@pytest.fixture(scope="module")
def trajectory(device: torch.device) -> dict[str, object]:
    """Three iterations: one G update on 8 fakes, then two D updates, each on 4 fresh real images."""
    io, loss = load("tiny_traj32_c5"), LOSSES["hinge"]
    G, D = _pair(device)
    opt_g, opt_d = _adam(G), _adam(D)
    scores = _scores(D)
    losses, weights = {}, []
    for i in range(3):
        z, y = (tensor(io[f"it{i}/gstep/{key}"], device) for key in ("z", "y"))
        losses[f"it{i}/gstep"] = _step(opt_g, _g_objective(G, D, z, y, loss))
        for j in range(2):
            at = f"it{i}/dstep{j}"
            inputs = (tensor(io[f"{at}/{key}"], device) for key in ("x_real", "y_real", "z", "y_fake"))
            batch = DiscriminatorBatch(*inputs)
            losses[at] = _step(opt_d, discriminator_objective(D, G, batch, loss=loss, constraint=Constraint()))
        weights.append({name: _numbers(network) for name, network in (("gen", G), ("dis", D))})
    return {"io": io, "G": G, "D": D, "opt": (opt_g, opt_d), "losses": losses, "scores": scores, "weights": weights}


def _numbers(network: Generator | Discriminator) -> dict[str, torch.Tensor]:
    """Copy parameters, running statistics and u, by official name."""
    numbers = {path: parameter.detach().cpu().clone() for path, parameter in official_parameters(network).items()}
    for path, layer in official_layers(network).items():
        norm = getattr(layer, "norm", layer)
        if isinstance(norm, torch.nn.BatchNorm2d):
            numbers[f"{path}/avg_mean"] = norm.running_mean.cpu().clone()
            numbers[f"{path}/avg_var"] = norm.running_var.cpu().clone()
        elif isinstance(network, Discriminator):
            numbers[f"{path}/u"] = layer.parametrizations.weight[0].u.cpu().clone()
    return numbers


def test_losses_along_the_trajectory(trajectory: dict, device: torch.device) -> None:
    for at, loss in trajectory["losses"].items():
        official = float(trajectory["io"][f"{at}/loss"])
        assert loss == pytest.approx(official, rel=allowed(TRAJECTORY_LOSS, device)), at


def test_scores_along_the_trajectory(trajectory: dict, device: torch.device) -> None:
    io, scores = trajectory["io"], iter(trajectory["scores"])
    for at in trajectory["losses"]:
        for key in ("dis_fake",) if "gstep" in at else ("dis_real", "dis_fake"):
            assert relative_error(next(scores), io[f"{at}/{key}"]) <= allowed(TRAIN_OUTPUT, device), at
    assert next(scores, None) is None


@pytest.mark.parametrize("iteration", range(3))
@pytest.mark.parametrize("letter", ["gen", "dis"])
def test_weights_along_the_trajectory(trajectory: dict, letter: str, iteration: int, device: torch.device) -> None:
    official = load(f"tiny_traj32_c5.{letter}_after_it{iteration}")
    ours = trajectory["weights"][iteration][letter]
    assert ours.keys() == {path for path in official if not path.endswith("/N")}
    for path, values in ours.items():
        if letter == "gen" and (ZERO_GRADIENT.fullmatch(path) or path.endswith("avg_mean")):
            continue  # by their effect, below
        assert absolute_error(values, official[path]) <= allowed(TRAJECTORY_WEIGHT, device), path


def test_biases_without_a_gradient_wander_and_only_running_means_notice(trajectory: dict, device: torch.device) -> None:
    """Adam turns rounding noise into steps of up to the rate; batch normalisation takes every one of them away."""
    paths = [path for path in trajectory["weights"][0]["gen"] if path.endswith("avg_mean")]
    offsets = dict.fromkeys(paths, 0.0)  # what the wandering alone adds to each running mean
    earlier = dict.fromkeys(paths, 0.0)
    for iteration, weights in enumerate(trajectory["weights"]):
        ours = weights["gen"]
        official = {path: tensor(array) for path, array in load(f"tiny_traj32_c5.gen_after_it{iteration}").items()}
        for path in filter(ZERO_GRADIENT.fullmatch, ours):
            # Each of at most three steps is at most lr sqrt((1 - 0.9^3) / (1 - 0.9)) = 1.65 lr, on both sides.
            assert (ours[path] - official[path]).abs().max() <= 2 * 1.65 * 2e-4 * (iteration + 1), path
        shifts, official_shifts = _shifts(ours), _shifts(official)
        for path in paths:
            later = shifts[path] - official_shifts[path]
            for shift in (earlier[path], later, later):  # G's update comes before its biases move, D's two after
                offsets[path] = 0.9 * offsets[path] + 0.1 * shift
            earlier[path] = later
            error = absolute_error(ours[path] - offsets[path], official[path].numpy())
            assert error <= allowed(STATISTICS, device), path

    final, z = load("tiny_traj32_c5.gen_after_it2"), torch.randn(6, 16, generator=torch.Generator().manual_seed(1))
    y = torch.arange(6) % 5
    with torch.no_grad():
        images = copy.deepcopy(trajectory["G"])(z.to(device), y.to(device))
    expected = functional.generator(final, z, y, train=True).numpy()
    assert relative_error(images, expected) <= allowed(TRAIN_OUTPUT, device)


def _shifts(numbers: dict[str, torch.Tensor]) -> dict[str, torch.Tensor | float]:
    """What the biases without a gradient add to the mean that each batch normalisation sees."""
    shifts: dict[str, torch.Tensor | float] = {}
    carried: torch.Tensor | float = 0.0  # along the skips
    for i in (2, 3, 4):
        block = f"block{i}"
        shifts[f"{block}/b1/avg_mean"] = carried
        shifts[f"{block}/b2/avg_mean"] = numbers[f"{block}/c1/b"]
        skipped = numbers[f"{block}/c_sc/W"][:, :, 0, 0] @ carried if isinstance(carried, torch.Tensor) else 0.0
        carried = numbers[f"{block}/c2/b"] + numbers[f"{block}/c_sc/b"] + skipped
    return {**shifts, "b5/avg_mean": carried}


@pytest.mark.parametrize("letter", ["gen", "dis"])
def test_adam_moments_at_the_end(trajectory: dict, letter: str, device: torch.device) -> None:
    official = load(f"tiny_traj32_c5.opt_{letter}_final")
    network, optimiser = trajectory["G" if letter == "gen" else "D"], trajectory["opt"][letter == "dis"]
    largest = max(array.max() for path, array in official.items() if path.endswith("/v"))
    for path, parameter in official_parameters(network).items():
        state = optimiser.state[parameter]
        assert int(state["step"]) == int(official[f"{path}/t"]) == (3 if letter == "gen" else 6), path
        if letter == "gen" and ZERO_GRADIENT.fullmatch(path):
            assert max(state["exp_avg_sq"].max().item(), official[f"{path}/v"].max()) <= 1e-10 * largest, path
            continue
        assert norm_error(state["exp_avg"], official[f"{path}/m"]) <= allowed(GRADIENT, device), path
        assert norm_error(state["exp_avg_sq"], official[f"{path}/v"]) <= allowed(GRADIENT, device), path
