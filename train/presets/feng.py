"""The table of the reproducibility report, Feng et al. 2019."""

from train.presets.sngan import CIFAR10, CNN, STANDARD, WGAN_GP, no_sn
from train.presets.tables import NOT_TRAINED, Base, Row, Table, Values, adam, row

# Section 4: the hyper-parameters A, B and C "of three papers".
SETTINGS = {"A": adam(0.001, 0.5, 0.9), "B": adam(0.001, 0.5, 0.999), "C": adam(0.002, 0.5, 0.999)}

BASE = Base(
    "report/base/cnn_cifar10",
    "Standard CNN on CIFAR-10, 300 epochs",
    "section 4. Open in the report: networks (the standard CNN is taken), batch (64), n_dis (1), and the data set, "
    "whose real images score 9.67: CIFAR-10 is taken, at its 32 px where the report writes 28",
    CIFAR10,
    CNN | STANDARD | {"d_updates_per_step": 1, "steps": 234_300},  # 300 epochs of 781 batches
)

AUTOENCODER: Values = {"discriminator.head": "reconstruction", **no_sn()}
BEGAN: Values = {**AUTOENCODER, "generator.norm": "none", "generator.first_norm": "channel", "loss.kind": "began"}
EBGAN: Values = {**AUTOENCODER, "discriminator.error": "l2", "loss.kind": "ebgan"}
SNGAN: Values = {"constraint_g.kind": "spectral", "discriminator.slope": 0.02}
BEGAN_NOTE = (
    "Autoencoding discriminator and generator without batch norm as in began/ of pfnet-research/chainer-gan-lib. "
    "Diversity 0.75 and rate 0.001 are common choices."
)
EBGAN_NOTE = (
    "Autoencoding discriminator as in began/ of pfnet-research/chainer-gan-lib; the generator keeps its batch norm. "
    "Squared error and margin 1, without the pulling-away term."
)
SNGAN_NOTE = "Section 3: spectral norm in every layer of both networks, D learns four times as fast (TTUR), slope 0.02."


def _model(name: str, label: str, values: Values, *, IS: str, FID: str, d_speed: int = 1, note: str = "") -> list[Row]:
    """Return the rows of a model, one a setting; the report gives its best inception score and its best FID.

    Args:
        d_speed: D's rate over G's. Section 3 gives 0.004 and 0.001 for TTUR (Heusel et al. 2017), which is 4.
    """
    return [
        row(
            f"{name}_{setting}",
            f"{label}, setting {setting}",
            BASE,
            optimisers,
            {"optim_d.lr": d_speed * optimisers["optim_d.lr"]},
            values,
            IS=f"{IS} (best of A, B, C)",
            FID=f"{FID} (best)",
            note=note,
        )
        for setting, optimisers in SETTINGS.items()
    ]


TABLE_1 = Table(
    "report/table1",
    "Table 1 and Figure 2: best score of each model over three settings",
    [
        row("real", "Real data", IS="9.6727", FID="17.269", absent=NOT_TRAINED),
        *_model("began", "BEGAN", BEGAN, IS="2.8899", FID="193.063", note=BEGAN_NOTE),
        *_model("ebgan", "EBGAN", EBGAN, IS="2.2915", FID="232.225", note=EBGAN_NOTE),
        *_model("wgan_gp", "WGAN-GP", WGAN_GP, IS="3.6489", FID="186.357"),
        *_model("batch_norm", "BN", no_sn(features="batch"), IS="2.8561", FID="243.652"),
        *_model("layer_norm", "LN", no_sn(features="layer"), IS="3.3469", FID="219.828"),
        *_model("sngan", "SNGAN", SNGAN, IS="3.8849", FID="173.387", d_speed=4, note=SNGAN_NOTE),
    ],
    also=("figure2", "figure3"),
)
