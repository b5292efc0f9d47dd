"""Parameter counts from outside this code, and where each came from."""

from typing import NamedTuple

from tests.reference.synthetic import D_HALVES, D_WIDTHS, G_WIDTHS


class Counts(NamedTuple):
    """Trainable parameters of a pair of ResNets at the published widths."""

    resolution: int
    num_classes: int
    head: str
    generator: int
    discriminator: int


# 48, 64 and 128 px without classes: the counts of kwotsin/mimicry@a7fda06, an independent port of the same tables. At
# 32 px its D has a bias in the score layer that the official one lacks (1,053,825 there). 32 and 128 px with classes:
# counted on the official code, pfnet-research/sngan_projection@e84b1a5, run with Chainer 7.8.1. 256 px: the sums below.
PUBLISHED = (
    Counts(32, 0, "unconditional", 4_276_739, 1_053_824),
    Counts(48, 0, "unconditional", 4_878_083, 10_141_441),
    Counts(64, 0, "unconditional", 12_220_675, 10_141_441),
    Counts(128, 0, "unconditional", 32_150_787, 29_017_857),
    Counts(32, 10, "projection", 4_304_387, 1_055_104),
    Counts(128, 1000, "projection", 41_996_931, 30_041_857),
    Counts(128, 1000, "concat", 41_996_931, 30_538_625),
    Counts(256, 1000, "projection", 49_027_203, 35_024_129),
)


def _conv(c_in: int, c_out: int, k: int) -> int:
    return c_in * c_out * k * k + c_out


def generator_by_hand(side: int, *, ch: int, dim_z: int, classes: int) -> int:
    """Add up an official generator layer by layer (gen_models/resnet*.py)."""
    widths = [ch * width for width in G_WIDTHS[side]]
    tables = max(1, classes)  # of gains and of biases
    total = (dim_z + 1) * 16 * widths[0] + 2 * ch + _conv(ch, 3, 3)
    for i in range(1, len(widths)):
        before, after = widths[i - 1], widths[i]
        total += _conv(before, after, 3) + _conv(after, after, 3) + _conv(before, after, 1)
        total += 2 * tables * (before + after)
    return total


def discriminator_by_hand(side: int, *, ch: int, classes: int, dim_emb: int = 0) -> int:
    """Add up an official discriminator layer by layer (dis_models/snresnet*.py); dim_emb > 0 is the concat head."""
    widths = [3, *(ch * width for width in D_WIDTHS[side])]
    total = widths[-1] + (side != 32)
    for i in range(1, len(widths)):
        before, after = widths[i - 1] + (dim_emb if i == 4 else 0), widths[i]
        hidden = after if i == 1 else before
        total += _conv(before, hidden, 3) + _conv(hidden, after, 3)
        if i <= D_HALVES[side] or before != after:
            total += _conv(before, after, 1)
    return total + classes * (dim_emb or widths[-1])


# Miyato et al. 2018, Table 3, and Lin et al. 2021, Tables 2 and 3, layer by layer. Convolutions and linear layers have
# biases, batch normalisations a gain and a bias per channel; only Lin et al. list the one after the linear layer, which
# in both authors' codes has them per unit (common/net.py of chainer-gan-lib, gan/network.py of fjxmlzn/BSN).
def cnn_generator(first_side: int) -> int:
    """Add up the standard CNN's generator, latents of 128."""
    linear = 128 * (first_side**2 * 512) + first_side**2 * 512
    deconvs = (512 * 256 * 16 + 256) + (256 * 128 * 16 + 128) + (128 * 64 * 16 + 64)
    return linear + deconvs + 2 * (first_side**2 * 512 + 256 + 128 + 64) + (64 * 3 * 9 + 3)


def cnn_discriminator(side: int) -> int:
    """Add up the standard CNN's discriminator."""
    stride_1 = (3 * 64 * 9 + 64) + (64 * 128 * 9 + 128) + (128 * 256 * 9 + 256) + (256 * 512 * 9 + 512)
    stride_2 = (64 * 64 * 16 + 64) + (128 * 128 * 16 + 128) + (256 * 256 * 16 + 256)
    return stride_1 + stride_2 + 512 * (side // 8) ** 2 + 1


# Lin et al. 2021, Table 4, latents of 100: linear, batch norm, 5x5 to 64, batch norm, 5x5 to 1.
MNIST_GENERATOR = (100 * 6272 + 6272) + 2 * 128 + (128 * 64 * 25 + 64) + 2 * 64 + (64 * 25 + 1)
# Lin et al. 2021, Table 5: three 5x5 convolutions and a linear layer on 256 x 4 x 4, none with a bias.
MNIST_DISCRIMINATOR = 64 * 25 + 64 * 128 * 25 + 128 * 256 * 25 + 256 * 4 * 4
