"""Both networks against the official implementation's outputs, running statistics and power iteration."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sngan_cond import Discriminator
from sngan_cond.convert import discriminator_from_chainer, generator_from_chainer
from sngan_cond.sampling import to_uint8
from tests.reference import functional
from tests.reference.fixtures import (
    DISCRIMINATORS,
    GENERATORS,
    MIXTURES,
    OFFICIAL,
    PROJECTIONS,
    STATISTICS,
    TEST_OUTPUT,
    TRAIN_OUTPUT,
    U,
    allowed,
    labels,
    load,
    part,
    relative_error,
    tensor,
)
from tests.reference.names import official_layers


@pytest.mark.parametrize("name", GENERATORS)
@torch.no_grad()
def test_generator_makes_the_official_images(name: str, device: torch.device) -> None:
    io, G = load(f"{name}.io"), generator_from_chainer(OFFICIAL / f"{name}.npz").to(device)
    images = G(tensor(io["z"], device), labels(io, device))
    assert relative_error(images, io["out_test"]) <= allowed(TEST_OUTPUT, device)
    # Truncation turns rounding noise into one grey level where a value falls on a step; on no more than 0.1 % of them.
    steps = np.abs(to_uint8(images).cpu().numpy().astype(int) - io["out_test_uint8"])
    assert steps.max() <= 1
    assert (steps > 0).mean() <= allowed(1e-3, device)


@pytest.mark.parametrize("name", MIXTURES)
@torch.no_grad()
def test_class_mixtures_blend_gains_and_biases_as_the_official_code_does(name: str, device: torch.device) -> None:
    io = load(f"{name}.io")
    G = generator_from_chainer(OFFICIAL / f"{name}.npz").to(device)
    rows = torch.zeros(len(io["z"]), G.config.num_classes, device=device)
    rows.scatter_add_(1, tensor(io["interp_y"], device), tensor(io["interp_weights"], device))
    assert relative_error(G(tensor(io["z"], device), rows), io["interp_out_test"]) <= allowed(TEST_OUTPUT, device)


@pytest.mark.parametrize("name", GENERATORS)
@torch.no_grad()
def test_generator_in_train_mode_and_its_running_statistics(name: str, device: torch.device) -> None:
    io, G = load(f"{name}.io"), generator_from_chainer(OFFICIAL / f"{name}.npz").to(device)
    layers = official_layers(G)
    before, after = part(io, "before/"), part(io, "after_train/")
    assert before.keys() == after.keys()
    _assert_statistics(layers, before, 0.0)  # as stored
    images = G.train()(tensor(io["z"], device), labels(io, device))
    assert relative_error(images, io["out_train"]) <= allowed(TRAIN_OUTPUT, device)
    _assert_statistics(layers, after, allowed(STATISTICS, device))


def _assert_statistics(layers: dict[str, nn.Module], expected: dict[str, np.ndarray], tolerance: float) -> None:
    for key, array in expected.items():
        layer, statistic = key.rsplit("/", 1)
        norm = getattr(layers[layer], "norm", layers[layer])
        ours = {"avg_mean": norm.running_mean, "avg_var": norm.running_var}[statistic]
        assert relative_error(ours, array) <= tolerance, key


def _u(D: Discriminator) -> dict[str, Tensor]:
    return {path: layer.parametrizations.weight[0].u for path, layer in official_layers(D).items()}


def _assert_u(D: Discriminator, expected: dict[str, np.ndarray]) -> None:
    ours = _u(D)
    assert ours.keys() == expected.keys()
    for path, u in expected.items():
        assert relative_error(ours[path], u) <= allowed(U, ours[path].device), path


@pytest.mark.parametrize("name", DISCRIMINATORS)
@torch.no_grad()
def test_discriminator_scores_and_power_iteration(name: str, device: torch.device) -> None:
    io = load(f"{name}.io")
    x, y = tensor(io["x"], device), labels(io, device)
    D = discriminator_from_chainer(OFFICIAL / f"{name}.npz").to(device)
    _assert_u(D, part(io, "u_before/"))
    assert relative_error(D(x, y).score, io["out_test"]) <= allowed(TEST_OUTPUT, device)
    _assert_u(D, part(io, "u_after_test/"))
    assert relative_error(D(x, y).score, io["out_test_second_call"]) <= allowed(TEST_OUTPUT, device)

    D = discriminator_from_chainer(OFFICIAL / f"{name}.npz").to(device).train()
    assert relative_error(D(x, y).score, io["out_train"]) <= allowed(TRAIN_OUTPUT, device)
    _assert_u(D, part(io, "u_after_train/"))
    assert relative_error(D(x, y).score, io["out_train_second_call"]) <= allowed(TRAIN_OUTPUT, device)
    _assert_u(D, part(io, "u_after_train_second_call/"))


@pytest.mark.parametrize("name", PROJECTIONS)
@torch.no_grad()
def test_without_labels_the_projection_adds_nothing(name: str, device: torch.device) -> None:
    io = load(f"{name}.io")
    D = discriminator_from_chainer(OFFICIAL / f"{name}.npz").to(device)
    D(tensor(io["x"], device), labels(io, device))
    D(tensor(io["x"], device), labels(io, device))
    assert relative_error(D(tensor(io["x"], device)).score, io["out_test_y_none"]) <= allowed(TEST_OUTPUT, device)


@pytest.mark.parametrize("name", DISCRIMINATORS)
@torch.no_grad()
def test_sigma_after_one_round_and_after_many(name: str, device: torch.device) -> None:
    io = load(f"{name}.io")
    for path, layer in official_layers(discriminator_from_chainer(OFFICIAL / f"{name}.npz").to(device)).items():
        largest = layer.parametrizations.weight.original.abs().max()
        sigma = largest / layer.weight.abs().max()  # max |W| / max |W / sigma|
        assert relative_error(sigma, io[f"sigma_first/{path}"]) <= allowed(U, device), path
        layer.parametrizations.weight[0].iterations = 500
        # From any start sigma becomes the largest singular value; float32 rounds a dot product of 300 terms.
        assert relative_error(largest / layer.weight.abs().max(), io[f"svd_sigma/{path}"]) <= allowed(1e-5, device), (
            path
        )


@pytest.mark.parametrize("name", GENERATORS + DISCRIMINATORS)
@torch.no_grad()
def test_the_second_source_agrees_with_the_first(name: str) -> None:
    """`functional` is what synthetic snapshots are judged by, so it is judged here."""
    arrays, io = load(name), load(f"{name}.io")
    if name in GENERATORS:
        assert relative_error(functional.generator(arrays, tensor(io["z"]), labels(io)), io["out_test"]) <= TEST_OUTPUT
        train = functional.generator(arrays, tensor(io["z"]), labels(io), train=True)
        assert relative_error(train, io["out_train"]) <= TRAIN_OUTPUT
    else:
        score = functional.discriminator(arrays, tensor(io["x"]), labels(io))
        assert relative_error(score, io["out_test"]) <= TEST_OUTPUT
