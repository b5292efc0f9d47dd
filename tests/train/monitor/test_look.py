"""A look at both networks: what it measures, by hand, and that nothing moves under it."""

import pytest
import torch
from torch import Tensor, nn

from sngan_cond import Constraint, ConstraintConfig, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from sngan_cond.networks.heads import DiscriminatorOutput
from train.monitor.look import FixedSample, Labelled, Movement, overfitting, spread, untouched

CPU = torch.device("cpu")


def generator(num_classes: int) -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(resolution=32, num_classes=num_classes, channels=4, latent_dim=6))


def test_a_sample_is_the_same_latents_in_a_few_classes() -> None:
    sample = FixedSample(GeneratorConfig(resolution=32, num_classes=6, latent_dim=5), seed=3, device=CPU)
    assert sample.y.tolist() == [0] * 8 + [2] * 8 + [3] * 8 + [5] * 8
    assert torch.equal(sample.z[:8], sample.z[24:])
    assert sample.z[:8].unique(dim=0).shape == (8, 5)
    alone = FixedSample(GeneratorConfig(resolution=32, num_classes=0, latent_dim=5), seed=3, device=CPU)
    assert alone.y is None
    assert alone.z.unique(dim=0).shape == (32, 5)


def test_diversity_is_measured_over_all_over_latents_and_over_classes() -> None:
    """Images are one colour, the sum of their class's and their latent's, under grain that averages out."""
    sample = FixedSample(GeneratorConfig(resolution=32, num_classes=6, latent_dim=5), seed=3, device=CPU)
    of_class = torch.tensor([0.0, 0.3, -0.1, 0.2])
    of_latent = torch.tensor([0.0, 0.1, 0.05, -0.2, 0.4, 0.25, -0.3, 0.15])
    colours = (of_class[:, None] + of_latent).flatten()
    grain = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(16, 16) * torch.arange(32.0)[:, None, None, None]
    found = sample.diversity(colours[:, None, None, None] + grain.expand(32, 3, 32, 32), 0.5)
    deviation = {name: float(t.std(correction=0)) for name, t in (("class", of_class), ("latent", of_latent))}
    assert float(found["class_diversity"]) == pytest.approx(deviation["class"] / 0.5, rel=1e-4)
    assert float(found["latent_diversity"]) == pytest.approx(deviation["latent"] / 0.5, rel=1e-4)
    assert float(found["diversity"]) == pytest.approx(float(colours.std(correction=0)) / 0.5, rel=1e-4)
    assert float(spread(torch.tensor([[1.0, 4.0], [3.0, 4.0]]))) == pytest.approx(0.5**0.5)


def test_images_are_those_of_a_loaded_generator() -> None:
    G = generator(6)
    sample = FixedSample(G.config, seed=3, device=CPU)
    G(torch.randn(4, 6), torch.tensor([0, 1, 2, 3]))  # its statistics are no longer those of a start
    images = sample.images(G)
    assert G.training
    with torch.no_grad():
        torch.testing.assert_close(images[21:22], G.eval()(sample.z[21:22], sample.y[21:22]), rtol=1e-3, atol=1e-3)


def test_a_look_leaves_every_buffer_and_mode() -> None:
    """Though the official spectral norm moves u of D's last layers in evaluation mode too."""
    torch.manual_seed(0)
    D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=6, channels=4))
    Constraint(ConstraintConfig()).attach(D)
    G = generator(6)
    x, y = torch.rand(3, 3, 32, 32), torch.tensor([0, 4, 2])
    for network, inputs in ((D, (x, y)), (G, (torch.randn(3, 6), y))):
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        with untouched(network), torch.no_grad():
            network(*inputs)
            moved = [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])]
        assert bool(moved) == (network is D)
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
        assert network.training


def test_weights_that_move_are_counted_by_tensor() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    movement = Movement(network)
    assert float(movement.share()) == 0
    network[1].bias.data[0] += 0.5
    network[0].weight.data[0] += 1e-12
    assert float(movement.share()) == 0.25
    assert float(movement.share()) == 0


class Brightness(nn.Module):
    """Scores an image by its mean."""

    def forward(self, x: Tensor, y: Tensor | None) -> DiscriminatorOutput:
        return DiscriminatorOutput(x.mean(dim=(1, 2, 3)), None)


def plain(*means: float) -> Labelled:
    return Labelled(torch.tensor(means)[:, None, None, None].expand(-1, 3, 4, 4), None)


@pytest.mark.parametrize(
    ("held_out", "generated", "expected"),
    [
        ((0.3, 0.1), (-0.4, -0.6), 0.6 / 1.3),  # training images have 0.7 and 0.9, so (0.8 - 0.2) / (0.8 + 0.5)
        ((0.7, 0.9), (-0.4, -0.6), 0.0),
        ((-0.5,), (-0.4, -0.6), 1.0),
        ((0.2,), (0.7, 0.8), 0.0),  # hardly told from training images
    ],
)  # fmt: skip
def test_overfitting_is_the_way_from_training_images_to_generated_ones(
    held_out: tuple[float, ...], generated: tuple[float, ...], expected: float
) -> None:
    found = overfitting(Brightness(), training=plain(0.7, 0.9), held_out=plain(*held_out), generated=plain(*generated))
    assert float(found) == pytest.approx(expected, rel=1e-5, abs=1e-6)
