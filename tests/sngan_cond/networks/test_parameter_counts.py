"""Every network at its published width has as many parameters as elsewhere."""

import json

import pytest
import torch
from torch import nn

from sngan_cond import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from sngan_cond.convert import discriminator_from_chainer, generator_from_chainer
from tests.reference import parameter_counts as expected
from tests.reference.fixtures import DISCRIMINATORS, GENERATORS, OFFICIAL
from tests.reference.parameter_counts import PUBLISHED, Counts


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def generator(**fields: object) -> int:
    with torch.device("meta"):
        return count(Generator(GeneratorConfig(**fields)))


def discriminator(**fields: object) -> int:
    with torch.device("meta"):
        return count(Discriminator(DiscriminatorConfig(**fields)))


@pytest.mark.parametrize("counts", PUBLISHED, ids=lambda counts: f"{counts.resolution}-{counts.head}")
def test_resnets(counts: Counts) -> None:
    fields = {"resolution": counts.resolution, "num_classes": counts.num_classes}
    assert generator(**fields) == counts.generator
    assert discriminator(**fields, head=counts.head) == counts.discriminator


@pytest.mark.parametrize("counts", [row for row in PUBLISHED if row.resolution != 48], ids=lambda row: str(row[:3]))
def test_the_sums_by_hand_agree_with_the_published_counts(counts: Counts) -> None:
    side, classes = counts.resolution, counts.num_classes
    g_ch, d_ch = (256, 128) if side == 32 else (64, 64)
    dim_emb = 128 if counts.head == "concat" else 0
    assert expected.generator_by_hand(side, ch=g_ch, dim_z=128, classes=classes) == counts.generator
    assert expected.discriminator_by_hand(side, ch=d_ch, classes=classes, dim_emb=dim_emb) == counts.discriminator


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_odd_widths_by_hand(side: int) -> None:
    fields = {"resolution": side, "num_classes": 7, "channels": 5}
    assert generator(**fields, latent_dim=11) == expected.generator_by_hand(side, ch=5, dim_z=11, classes=7)
    assert discriminator(**fields) == expected.discriminator_by_hand(side, ch=5, classes=7)
    concat = expected.discriminator_by_hand(side, ch=5, classes=7, dim_emb=3)
    assert discriminator(**fields, head="concat", embed_dim=3) == concat


@pytest.mark.parametrize("name", GENERATORS + DISCRIMINATORS)
def test_converted_networks(name: str) -> None:
    inventory = json.loads((OFFICIAL / "inventory.json").read_text())
    read = generator_from_chainer if name in GENERATORS else discriminator_from_chainer
    assert count(read(OFFICIAL / f"{name}.npz")) == inventory[name]["n_params"]


@pytest.mark.parametrize("side", [32, 48, 64])
def test_standard_cnn(side: int) -> None:
    fields = {"resolution": side, "num_classes": 0, "architecture": "cnn"}
    assert generator(**fields, first_norm="unit") == expected.cnn_generator(side // 8)
    assert discriminator(**fields, head="unconditional") == expected.cnn_discriminator(side)


def test_mnist_pair() -> None:
    fields = {"resolution": 28, "num_classes": 0, "architecture": "mnist"}
    assert generator(**fields, latent_dim=100, latent="uniform") == expected.MNIST_GENERATOR
    assert discriminator(**fields, head="unconditional") == expected.MNIST_DISCRIMINATOR
