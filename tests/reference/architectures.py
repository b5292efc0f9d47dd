"""The papers' architecture tables, written out layer by layer, and the parameters that each layer has.

Each row is copied from a table of the paper named beside it; nothing here reads the code it checks. A layer is
(kind, inputs, outputs, kernel side); a batch norm has a gain and a bias per channel; "nobias" marks a layer without
bias.
"""

Row = tuple[object, ...]


def count(rows: list[Row]) -> int:
    """Add up the parameters of a table's rows."""
    total = 0
    for kind, *sizes in rows:
        bias = 0 if "nobias" in sizes else 1
        numbers = [size for size in sizes if isinstance(size, int)]
        if kind in ("conv", "deconv"):
            c_in, c_out, side = numbers
            total += c_out * (c_in * side * side + bias)
        elif kind == "dense":
            c_in, c_out = numbers
            total += c_out * (c_in + bias)
        elif kind == "bn":
            total += 2 * numbers[0]
        else:
            raise ValueError(kind)
    return total


def up_block(c_in: int, c_out: int) -> list[Row]:
    """Miyato et al. 2018, Figure 8 left: BN, ReLU, upsample, conv, BN, ReLU, conv; shortcut upsample, 1x1 conv."""
    return [("bn", c_in), ("conv", c_in, c_out, 3), ("bn", c_out), ("conv", c_out, c_out, 3), ("conv", c_in, c_out, 1)]


def down_block(c_in: int, hidden: int, c_out: int, skip: bool = True) -> list[Row]:
    """Miyato et al. 2018, Figure 8, without batch norm; Lin et al. 2021, Tables 11-13."""
    rows: list[Row] = [("conv", c_in, hidden, 3), ("conv", hidden, c_out, 3)]
    return [*rows, ("conv", c_in, c_out, 1)] if skip else rows


# Miyato et al. 2018, Table 3a, and Lin et al. 2021, Table 2; M_g = 4, 6 and 8. Only the latter lists the batch norm
# after the dense layer.
def cnn_generator(side: int, latent: int = 128) -> list[Row]:
    return [
        ("dense", latent, side * side * 512),
        ("bn", side * side * 512),  # before the reshape in both authors' codes
        ("deconv", 512, 256, 4),
        ("bn", 256),
        ("deconv", 256, 128, 4),
        ("bn", 128),
        ("deconv", 128, 64, 4),
        ("bn", 64),
        ("conv", 64, 3, 3),
    ]


# Miyato et al. 2018, Table 3b, and Lin et al. 2021, Table 3; M = 32, 48 and 64, and the last map has side M / 8.
def cnn_discriminator(side: int) -> list[Row]:
    return [
        ("conv", 3, 64, 3),
        ("conv", 64, 64, 4),
        ("conv", 64, 128, 3),
        ("conv", 128, 128, 4),
        ("conv", 128, 256, 3),
        ("conv", 256, 256, 4),
        ("conv", 256, 512, 3),
        ("dense", side * side * 512, 1),
    ]


# Miyato et al. 2018, Figure 4 at relative size 4, STL-10: both sides of the seventh convolution are four times as wide.
CNN_48_RELATIVE_SIZE_4: list[Row] = [
    ("conv", 3, 64, 3),
    ("conv", 64, 64, 4),
    ("conv", 64, 128, 3),
    ("conv", 128, 128, 4),
    ("conv", 128, 256, 3),
    ("conv", 256, 1024, 4),
    ("conv", 1024, 2048, 3),
    ("dense", 6 * 6 * 2048, 1),
]

# Miyato et al. 2018, Table 4a: 256 maps throughout.
RESNET_32_G = [("dense", 128, 4 * 4 * 256), *up_block(256, 256) * 3, ("bn", 256), ("conv", 256, 3, 3)]
# The same in Gulrajani et al. 2017 (gan_cifar_resnet.py, DIM_G = 128).
GULRAJANI_G = [("dense", 128, 4 * 4 * 128), *up_block(128, 128) * 3, ("bn", 128), ("conv", 128, 3, 3)]


# Miyato et al. 2018, Table 4b. In the official code the score layer has no bias at 32 px, and shortcuts are identities
# where shapes allow.
def resnet_32_d(channels: int, score_bias: str) -> list[Row]:
    return [
        *down_block(3, channels, channels),
        *down_block(channels, channels, channels),
        *down_block(channels, channels, channels, skip=False),
        *down_block(channels, channels, channels, skip=False),
        ("dense", channels, 1, score_bias),
    ]


# Miyato et al. 2018, Table 5.
RESNET_48_G = [
    ("dense", 128, 6 * 6 * 512),
    *up_block(512, 256),
    *up_block(256, 128),
    *up_block(128, 64),
    ("bn", 64),
    ("conv", 64, 3, 3),
]
RESNET_48_D = [
    *down_block(3, 64, 64),
    *down_block(64, 64, 128),
    *down_block(128, 128, 256),
    *down_block(256, 256, 512),
    *down_block(512, 512, 1024),  # same side, but widths differ, so the shortcut is learned
    ("dense", 1024, 1),
]

# Miyato et al. 2018, Table 6a (unconditional) and 6b, and Lin et al. 2021, Table 10, whose blocks have the width of
# their output inside and always a learned shortcut.
RESNET_128_G = [
    ("dense", 128, 4 * 4 * 1024),
    *up_block(1024, 1024),
    *up_block(1024, 512),
    *up_block(512, 256),
    *up_block(256, 128),
    *up_block(128, 64),
    ("bn", 64),
    ("conv", 64, 3, 3),
]
RESNET_128_D = [
    *down_block(3, 64, 64),
    *down_block(64, 64, 128),
    *down_block(128, 128, 256),
    *down_block(256, 256, 512),
    *down_block(512, 512, 1024),
    *down_block(1024, 1024, 1024, skip=False),
    ("dense", 1024, 1),
]
BSSN_128_D = [
    *down_block(3, 64, 64),
    *down_block(64, 128, 128),
    *down_block(128, 256, 256),
    *down_block(256, 512, 512),
    *down_block(512, 1024, 1024),
    *down_block(1024, 1024, 1024),
    ("dense", 1024, 1),
]

# Lin et al. 2021, Tables 4 and 5; deconvolutions carry biases, D has none.
MNIST_G = [
    ("dense", 100, 7 * 7 * 128),
    ("bn", 128),
    ("deconv", 128, 64, 5),
    ("bn", 64),
    ("deconv", 64, 1, 5),
]
MNIST_D: list[Row] = [
    ("conv", 1, 64, 5, "nobias"),
    ("conv", 64, 128, 5, "nobias"),
    ("conv", 128, 256, 5, "nobias"),
    ("dense", 4 * 4 * 256, 1, "nobias"),
]

# Radford et al. 2016, Figure 1 (64 px, z of 100), and its mirror image for D.
DCGAN_64_G = [
    ("dense", 100, 4 * 4 * 1024),
    ("bn", 1024),
    ("deconv", 1024, 512, 5),
    ("bn", 512),
    ("deconv", 512, 256, 5),
    ("bn", 256),
    ("deconv", 256, 128, 5),
    ("bn", 128),
    ("deconv", 128, 3, 5),
]
DCGAN_64_D: list[Row] = [
    ("conv", 3, 128, 5),
    ("conv", 128, 256, 5),
    ("conv", 256, 512, 5),
    ("conv", 512, 1024, 5),
    ("dense", 4 * 4 * 1024, 1),
]

# began/net.py of pfnet-research/chainer-gan-lib at 32 px.
AUTOENCODER_32: list[Row] = [
    ("conv", 3, 64, 3),
    ("conv", 64, 128, 4),
    ("conv", 128, 256, 4),
    ("conv", 256, 512, 4),
    ("dense", 4 * 4 * 512, 128),
    ("dense", 128, 4 * 4 * 512),
    ("deconv", 512, 256, 4),
    ("deconv", 256, 128, 4),
    ("deconv", 128, 64, 4),
    ("conv", 64, 3, 3),
]
