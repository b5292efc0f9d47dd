"""What a generator takes and refuses."""

import pytest
import torch

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
        (torch.zeros(2, 4), torch.zeros(2, dtype=torch.int32), "y of torch.int32: int64 labels or float"),
    ],
)
def test_refusals(G: Generator, z: torch.Tensor, y: torch.Tensor | None, message: str) -> None:
    refused(lambda: G(z, y), message)


def test_without_classes_there_are_no_labels() -> None:
    G = Generator(GeneratorConfig(resolution=32, num_classes=0, channels=2, latent_dim=4))
    assert G(torch.zeros(2, 4)).shape == (2, 3, 32, 32)
    labels = torch.tensor([0, 0])
    refused(lambda: G(torch.zeros(2, 4), labels), "y is given: a generator without classes takes y=None")
