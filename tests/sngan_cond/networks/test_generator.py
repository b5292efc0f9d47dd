"""What a generator takes and refuses."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from sngan_cond import Generator, GeneratorConfig
from tests.refusals import refused


@pytest.fixture(name="G")
def _generator() -> Generator:
    G = Generator(GeneratorConfig(resolution=32, num_classes=3, channels=2, latent_dim=4))
    for block in G.network.blocks:
        torch.nn.init.normal_(block.norm1.gain)
    return G.eval()


@torch.no_grad()
def test_labels_and_rows_of_weights(G: Generator) -> None:
    z, y = torch.randn(2, 4), torch.tensor([2, 0])
    assert not torch.allclose(G(z, y), G(z, y.flip(0)))
    rows = torch.nn.functional.one_hot(y, 3).float()
    torch.testing.assert_close(G(z, rows), G(z, y))


@pytest.mark.parametrize(
    ("z", "y", "message"),
    [
        (torch.zeros(2, 5), torch.tensor([0, 1]), "z of shape (2, 5): (N, 4) is allowed"),
        (torch.zeros(4), torch.tensor([0]), "z of shape (4,)"),
        (torch.zeros(2, 4), None, "y=None: a generator of 3 classes needs labels (N,) or class weights (N, 3)"),
        (torch.zeros(2, 4), torch.tensor([0]), "y of shape (1,) and torch.int64: (2,) is allowed"),
        (torch.zeros(2, 4), torch.zeros(2), "y of shape (2,) and torch.float32: (2, 3) is allowed"),
        (torch.zeros(2, 4), torch.zeros(2, dtype=torch.bool), "y of torch.bool: int64 labels or float"),
        (torch.zeros(2, 4), torch.tensor([1, 3]), "y holds 3: labels from 0 to 2 are allowed"),
        (torch.zeros(2, 4), [-1, 2], "y holds -1: labels from 0 to 2"),
        (torch.zeros(2, 4), 3, "y holds 3"),
        (torch.zeros(2, 4), ["shoe", "bag"], "y=['shoe', 'bag']: int64 labels or float class weights are allowed"),
        (torch.zeros(2, 4).long(), [0, 1], "z of torch.int64: floating-point numbers are allowed"),
        ([[1.0, 2.0], [3.0]], [0, 1], "z=[[1.0, 2.0], [3.0]]: numbers of shape (N, 4) are allowed"),
        (None, [0, 1], "z=None"),
    ],
)
def test_refusals(G: Generator, z: Any, y: Any, message: str) -> None:
    refused(lambda: G(z, y), message)


@torch.no_grad()
def test_latents_and_labels_are_taken_as_people_write_them(G: Generator) -> None:
    z, y = torch.randn(2, 4), torch.tensor([2, 0])
    expected = G(z, y)
    for given in ([2, 0], (2, 0), np.array([2, 0], dtype=np.int32), np.array([0, 1, 2])[::-2], y.int()):
        assert torch.equal(G(z, given), expected)
    for given in (z.numpy(), z.double(), z.double().numpy(), z.tolist()):  # NumPy's own type is float64
        assert torch.equal(G(given, y), expected)
    assert torch.equal(G(z, 2), G(z, [2, 2]))
    assert torch.equal(G(z, np.eye(3)[[2, 0]]), G(z, torch.eye(3)[[2, 0]]))


@pytest.mark.slow  # the first operation on the meta device takes a second
@torch.no_grad()
def test_latents_and_labels_go_where_the_generator_is(G: Generator) -> None:
    z, y = torch.randn(2, 4), torch.tensor([2, 0])
    G.to("meta")
    assert G(z, y).device.type == G(z.to("meta"), y).device.type == G(z, [2, 0]).device.type == "meta"


@pytest.mark.slow
@torch.no_grad()
def test_range_is_not_checked_where_that_would_be_recorded(G: Generator) -> None:
    z, y = torch.randn(2, 4), torch.tensor([2, 0])
    graph = make_fx(G)(z, y)
    assert "aminmax" not in graph.code
    torch.testing.assert_close(graph(z.flip(0), y.flip(0)), G(z, y).flip(0))
    # Each label alone: under vmap a check of values raises.
    each = torch.func.vmap(lambda row, label: G(row[None], label)[0])(z, y)
    torch.testing.assert_close(each, G(z, y), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@torch.no_grad()
def test_other_types_give_nearly_the_same_images(dtype: torch.dtype) -> None:
    G = Generator.from_pretrained("bundled")
    z, y = torch.randn(4, G.config.latent_dim), [9, 0, 3, 3]
    expected, other = G(z, y), Generator.from_pretrained("bundled", torch_dtype=dtype)
    assert (other.dtype, other.device.type) == (dtype, "cpu")
    images = other(z, y)
    assert images.dtype == dtype
    # By the type's spacing below 1, 2^-11, 2^-8 and 2^-53 (float32: 2^-24), times 60 for a dozen layers.
    error = (images.double() - expected.double()).abs().mean()
    assert 0 < error < {torch.float16: 60 * 2**-11, torch.bfloat16: 60 * 2**-8, torch.float64: 60 * 2**-24}[dtype]
    assert torch.equal(Generator.from_pretrained("bundled").to(dtype)(z, y), images)


def test_without_classes_there_are_no_labels() -> None:
    G = Generator(GeneratorConfig(resolution=32, num_classes=0, channels=2, latent_dim=4))
    assert G(torch.zeros(2, 4)).shape == (2, 3, 32, 32)
    labels = torch.tensor([0, 0])
    refused(lambda: G(torch.zeros(2, 4), labels), "y is given: a generator without classes takes y=None")
