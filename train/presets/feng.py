"""The table and the first figure of the reproducibility report, Feng et al. 2019.

Its code is COMP6248-Reproducability-Challenge/SNGAN, which its text names and does not agree with everywhere.
"""

from train.presets.sngan import CIFAR10, CNN, STANDARD, WGAN_GP, no_sn
from train.presets.tables import NOT_TRAINED, Base, Dataset, Row, Table, Values, adam, row

# Section 4: the hyper-parameters A, B and C "of three papers".
SETTINGS = {"A": adam(0.001, 0.5, 0.9), "B": adam(0.001, 0.5, 0.999), "C": adam(0.002, 0.5, 0.999)}

EPOCHS_300 = 234_300  # of 781 batches
BASE = Base(
    "report/base/cnn_cifar10",
    "Standard CNN on CIFAR-10, 300 epochs",
    "section 4, and COMP6248-Reproducability-Challenge/SNGAN for what it leaves open: CIFAR-10, a batch of 64, real "
    "images without noise. There the models have networks of their own (28 px for BEGAN, EBGAN and WGAN-GP, 64 px for "
    "SNGAN) and rates of 0.0002; here all have the standard CNN of its BN and LN, at 32 px, and the settings of the "
    "text, so that rows differ by method and setting. The report counts the best score in 300 epochs, scored here is "
    "the end",
    CIFAR10,
    CNN | STANDARD | {"d_updates_per_step": 1, "steps": EPOCHS_300},
)

AUTOENCODER: Values = {"discriminator.head": "reconstruction", **no_sn()}
BEGAN: Values = {**AUTOENCODER, "generator.norm": "none", "generator.first_norm": "channel", "loss.kind": "began"}
BEGAN |= {"loss.diversity": 1.0}
EBGAN: Values = {**AUTOENCODER, "discriminator.error": "l2", "loss.kind": "ebgan"}
FIVE: Values = {"d_updates_per_step": 5, "steps": EPOCHS_300 // 5}
SNGAN: Values = {"constraint_g.kind": "spectral", "discriminator.slope": 0.02}
BEGAN_NOTE = (
    "Autoencoding discriminator and generator without batch norm as in began/ of pfnet-research/chainer-gan-lib. "
    "Diversity 1 and rate 0.001 as in the report's BEGAN.py, which also halves the learning rates where its measure of "
    "convergence rises: not copied."
)
EBGAN_NOTE = (
    "Autoencoding discriminator as in began/ of pfnet-research/chainer-gan-lib; the generator keeps its batch norm. "
    "Squared error and margin 1 as in the report's EBGAN.py, without its pulling-away term, and with G's gradient "
    "through the target of the error too."
)
WGAN_GP_NOTE = "Five D updates for one of G, in the same 300 epochs, as in the report's WGAN_GP.py."
LN_NOTE = "The report's dcgan_ln/net.py has layer norm in G too; here G keeps its batch norm."
SNGAN_NOTE = (
    "Section 3: spectral norm in every layer of both networks, D learns four times as fast (TTUR), slope 0.02. The "
    "report's SNGAN_pytorch.ipynb has batch norm in D, equal rates and a slope of 0.1: the text is followed."
)


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
        *_model("wgan_gp", "WGAN-GP", WGAN_GP | FIVE, IS="3.6489", FID="186.357", note=WGAN_GP_NOTE),
        *_model("batch_norm", "BN", no_sn(features="batch"), IS="2.8561", FID="243.652"),
        *_model("layer_norm", "LN", no_sn(features="layer"), IS="3.3469", FID="219.828", note=LN_NOTE),
        *_model("sngan", "SNGAN", SNGAN, IS="3.8849", FID="173.387", d_speed=4, note=SNGAN_NOTE),
    ],
    also=("figure2", "figure3"),
)

SNGAN_128 = Base(
    "report/base/sngan_128",
    "SNGAN of Figure 1, CIFAR-10 enlarged to 128 px",
    "section 3: 128 px, spectral norm in every layer of both networks, batch norm and ReLU in G, slope 0.02 in D, "
    "rates of 0.001 and 0.004 with one D update. What the text leaves open is read off Figure 1 (CIFAR-10's images; "
    "200,000 updates; the standard loss, since D's begins near 2 ln 2 and G's near ln 2) and off SNGAN_pytorch.ipynb "
    "of COMP6248-Reproducability-Challenge/SNGAN (a batch of 64, latents of 100, betas 0 and 0.9, no noise on real "
    "images). That notebook works at 64 px, in 5x5 convolutions, with batch norm and 1,024 outputs in D, a slope of "
    "0.1 and equal rates of 0.0002, which the text does not say; the standard CNN with one output is taken",
    Dataset("--source torchvision:CIFAR10 --download --resolution 128 --min-side 32", "data/cifar10-128", 128),
    CNN
    | STANDARD
    | SNGAN
    | adam(0.001, 0.0, 0.9)
    | {"optim_d.lr": 0.004, "generator.latent_dim": 100, "steps": 200_000},
)

FIGURE_1 = Table(
    "report/figure1",
    "Figure 1: losses of SNGAN during training, and true images beside generated ones",
    [row("sngan", "SNGAN", SNGAN_128, loss_ranges="G's almost twice as large as D's")],
)
