"""Miyato and Koyama 2018: Table 1, how the label enters the discriminator, on ImageNet."""

from train.presets.sngan import IMAGENET, NO_AVERAGE
from train.presets.tables import Base, Table, Values, row

IMAGENET_128 = Base(
    "projection/base/resnet_imagenet",
    "Conditional ResNet on ImageNet 128 px",
    "section 4 and configs/sn_projection.yml of pfnet-research/sngan_projection: the defaults of this project, scored "
    "by the generator itself",
    IMAGENET,
    NO_AVERAGE,
)
AUXILIARY: Values = {"discriminator.head": "auxiliary_classifier"}
CONCAT: Values = {"discriminator.head": "concat"}
LONG: Values = {"steps": 850_000, "decay_from": 800_000}
AC_NOTE = (
    "The paper's is scored before it collapses; here the newest checkpoint is. The official code has no such head: the "
    "weights of its two losses, 1 and 0.1, are Gulrajani et al.'s (2017)."
)
LONG_NOTE = "Where the rate begins to fall is open: 50,000 updates before the end, as in the shorter run."

TABLE_1 = Table(
    "projection/table1",
    "Table 1: inception score and intra-class FID on ImageNet",
    [
        row("ac_gan", "AC-GANs", IMAGENET_128, AUXILIARY, IS="28.5+-.20", intra_fid="260.0", note=AC_NOTE),
        row("concat", "concat", IMAGENET_128, CONCAT, IS="21.1+-.35", intra_fid="141.2"),
        row("projection", "projection", IMAGENET_128, IS="29.7+-.61", intra_fid="103.1"),
        row(
            "projection_850k",
            "projection, 850k updates",
            IMAGENET_128,
            LONG,
            IS="36.8+-.44",
            intra_fid="92.4",
            note=LONG_NOTE,
        ),
    ],
)
