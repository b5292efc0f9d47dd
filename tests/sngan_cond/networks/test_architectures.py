"""Parameter counts against the papers' tables, and the shapes of what every architecture makes."""

import pytest
import torch

from sngan_cond import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from tests.reference import architectures as tables
from tests.reference.architectures import count

CNN = {"architecture": "cnn", "first_norm": "unit"}
GENERATORS = [
    ("Miyato et al., Table 3, CIFAR-10", {"resolution": 32, **CNN}, tables.cnn_generator(4)),
    ("Miyato et al., Table 3, STL-10", {"resolution": 48, **CNN}, tables.cnn_generator(6)),
    ("Lin et al., Table 2, CelebA", {"resolution": 64, **CNN}, tables.cnn_generator(8)),
    ("Miyato et al., Table 4", {"resolution": 32}, tables.RESNET_32_G),
    ("Gulrajani et al.", {"resolution": 32, "channels": 128}, tables.GULRAJANI_G),
    ("Miyato et al., Table 5", {"resolution": 48}, tables.RESNET_48_G),
    ("Miyato et al., Table 6", {"resolution": 128}, tables.RESNET_128_G),
    ("Lin et al., Table 4", {"resolution": 28, "architecture": "mnist", "latent_dim": 100}, tables.MNIST_G),
    ("Radford et al.", {"resolution": 64, "architecture": "dcgan", "latent_dim": 100}, tables.DCGAN_64_G),
]
DISCRIMINATORS = [
    ("Miyato et al., Table 3, CIFAR-10", {"resolution": 32, "architecture": "cnn"}, tables.cnn_discriminator(4)),
    ("Miyato et al., Table 3, STL-10", {"resolution": 48, "architecture": "cnn"}, tables.cnn_discriminator(6)),
    ("Lin et al., Table 3, CelebA", {"resolution": 64, "architecture": "cnn"}, tables.cnn_discriminator(8)),
    (
        "Miyato et al., Figure 4",
        {"resolution": 48, "architecture": "cnn", "top_size": 4.0},
        tables.CNN_48_RELATIVE_SIZE_4,
    ),
    ("Miyato et al., Table 4", {"resolution": 32}, tables.resnet_32_d(128, "nobias")),
    ("Gulrajani et al.", {"resolution": 32, "pool": "mean", "score_bias": True}, tables.resnet_32_d(128, "")),
    (
        "Miyato et al., Table 7, 1.5x feature maps",
        {"resolution": 32, "pool": "mean", "score_bias": True, "channels": 192},
        tables.resnet_32_d(192, ""),
    ),
    ("Miyato et al., Table 5", {"resolution": 48}, tables.RESNET_48_D),
    ("Miyato et al., Table 6", {"resolution": 128}, tables.RESNET_128_D),
    ("Lin et al., Table 10", {"resolution": 128, "hidden": "output", "skip": "always"}, tables.BSSN_128_D),
    ("Lin et al., Table 5", {"resolution": 28, "architecture": "mnist"}, tables.MNIST_D),
    ("Radford et al.", {"resolution": 64, "architecture": "dcgan"}, tables.DCGAN_64_D),
    ("BEGAN", {"resolution": 32, "architecture": "cnn", "head": "reconstruction"}, tables.AUTOENCODER_32),
]


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("settings", "rows"), [row[1:] for row in GENERATORS], ids=[row[0] for row in GENERATORS])
def test_generator_has_the_parameters_of_its_table(settings: dict[str, object], rows: list[tables.Row]) -> None:
    with torch.device("meta"):
        G = Generator(GeneratorConfig(num_classes=0, **settings))
    assert parameters(G) == count(rows)


@pytest.mark.parametrize(
    ("settings", "rows"), [row[1:] for row in DISCRIMINATORS], ids=[row[0] for row in DISCRIMINATORS]
)
def test_discriminator_has_the_parameters_of_its_table(settings: dict[str, object], rows: list[tables.Row]) -> None:
    settings = {"head": "unconditional", **settings}
    with torch.device("meta"):
        D = Discriminator(DiscriminatorConfig(num_classes=0, **settings))
    assert parameters(D) == count(rows)


def test_tables_agree_with_published_counts() -> None:
    """Counts of pfnet-research/sngan_projection and of kwotsin/mimicry (32 px D: mimicry's has a bias, one more)."""
    assert count(tables.RESNET_32_G) == 4_276_739
    assert count(tables.resnet_32_d(128, "")) == 1_053_825
    assert count(tables.RESNET_48_G) == 4_878_083
    assert count(tables.RESNET_48_D) == 10_141_441
    assert count(tables.RESNET_128_G) == 32_150_787
    assert count(tables.RESNET_128_D) == 29_017_857


@pytest.mark.parametrize(
    ("architecture", "side"), [("dcgan", 16), ("dcgan", 32), ("dcgan", 64), ("cnn", 24), ("resnet", 48), ("mnist", 28)]
)
def test_pair_fits_together(architecture: str, side: int) -> None:
    G = Generator(GeneratorConfig(resolution=side, num_classes=3, architecture=architecture, channels=4, latent_dim=5))
    config = DiscriminatorConfig(
        resolution=side, num_classes=3, head="auxiliary_classifier", architecture=architecture, channels=4
    )
    D = Discriminator(config)
    images = G(torch.randn(2, 5), torch.tensor([2, 0]))
    assert images.shape == (2, 3, side, side)
    assert float(images.detach().abs().max()) <= 1
    out = D(images)
    assert out.score.shape == (2,)
    assert out.class_logits.shape == (2, 3)


def test_mean_pooling_divides_the_features_by_the_map() -> None:
    """At 32 px the last map is 8x8: sum and mean differ by 64, through a score layer without bias."""
    settings = {"resolution": 32, "num_classes": 0, "head": "unconditional", "channels": 4}
    summed = Discriminator(DiscriminatorConfig(**settings))
    averaged = Discriminator(DiscriminatorConfig(**settings, pool="mean"))
    averaged.load_state_dict(summed.state_dict())
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(summed(x).score, 64 * averaged(x).score)


@pytest.mark.parametrize("error", ["l1", "l2"])
def test_autoencoder_scores_by_its_error(error: str) -> None:
    config = DiscriminatorConfig(
        resolution=16, num_classes=0, head="reconstruction", architecture="cnn", channels=4, error=error
    )
    D = Discriminator(config)
    x = torch.rand(3, 3, 16, 16) * 2 - 1
    difference = D.autoencoder(x) - x
    power = {"l1": 1, "l2": 2}[error]
    by_hand = -(difference.abs() ** power).flatten(1).sum(dim=1) / (3 * 16 * 16)
    torch.testing.assert_close(D(x).score, by_hand)


def test_generator_without_batch_norm_keeps_images_apart() -> None:
    settings = {"resolution": 16, "num_classes": 0, "architecture": "cnn", "channels": 4, "latent_dim": 5}
    z = torch.randn(4, 5)
    for norm, is_apart in (("none", True), ("batch", False)):
        G = Generator(GeneratorConfig(**settings, norm=norm)).train()
        with torch.no_grad():
            for parameter in G.parameters():
                parameter.mul_(5)
        assert torch.allclose(G(z)[:1], G(z[:1]), atol=1e-5) == is_apart
