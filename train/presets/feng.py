"""The table of the reproducibility report, Feng et al. 2019."""

from typing import NamedTuple

from train.presets.sngan_shared import CIFAR10, WASSERSTEIN, cnn_values, no_sn
from train.presets.tables import NOT_TRAINED, Base, Row, Table, Values, adam, both, merged

# Section 4: the hyper-parameters A, B and C "of three papers".
SETTINGS: dict[str, Values] = {
    "A": both(adam(0.001, 0.5, 0.9)),
    "B": both(adam(0.001, 0.5, 0.999)),
    "C": both(adam(0.002, 0.5, 0.999)),
}

BASE = Base(
    name="base/cnn_cifar10",
    title="Standard CNN on CIFAR-10, 300 epochs",
    source="section 4. Open in the report: networks (the standard CNN is taken), batch (64), n_dis (1), and the data "
    "set, whose real images score 9.67: CIFAR-10 is taken, at its 32 px where the report writes 28",
    data=CIFAR10,
    values=cnn_values(
        "data/cifar10-32",
        32,
        234_300,  # 300 epochs of 781 batches
        loss={"kind": "non_saturating"},
        d_updates_per_step=1,
    ),
)


class Model(NamedTuple):
    """A line of Table 1: the best inception score and FID over the settings."""

    label: str
    IS: str
    FID: str
    values: Values
    note: str = ""


BEGAN = merged(
    {"generator": {"norm": "none"}, "discriminator": {"head": "reconstruction"}, "loss": {"kind": "began"}}, no_sn()
)
EBGAN = merged({"discriminator": {"head": "reconstruction", "error": "l2"}, "loss": {"kind": "ebgan"}}, no_sn())
SNGAN: Values = {"constraint_g": {"kind": "spectral"}, "discriminator": {"slope": 0.02}}
_AUTOENCODER = (
    "Autoencoding discriminator and generator without batch norm as in began/ of pfnet-research/chainer-gan-lib."
)
BEGAN_NOTE = f"{_AUTOENCODER} Diversity 0.75 and rate 0.001 are common choices."
EBGAN_NOTE = f"{_AUTOENCODER} Squared error and margin 1, without the pulling-away term."
SNGAN_NOTE = "Section 3: spectral norm in every layer of both networks, D learns four times as fast (TTUR), slope 0.02."
MODELS = {
    "began": Model("BEGAN", "2.8899", "193.063", BEGAN, BEGAN_NOTE),
    "ebgan": Model("EBGAN", "2.2915", "232.225", EBGAN, EBGAN_NOTE),
    "wgan_gp": Model("WGAN-GP", "3.6489", "186.357", merged(WASSERSTEIN, no_sn(gradient_penalty=10.0))),
    "batch_norm": Model("BN", "2.8561", "243.652", no_sn(features="batch")),
    "layer_norm": Model("LN", "3.3469", "219.828", no_sn(features="layer")),
    "sngan": Model("SNGAN", "3.8849", "173.387", SNGAN, SNGAN_NOTE),
}


def _ttur(setting: Values) -> Values:
    """Return a rate of D four times G's: section 3, which gives 0.004 and 0.001; Heusel et al. 2017."""
    return {"optim_d": {"lr": 4 * setting["optim_g"]["lr"]}}


TABLE_1 = Table(
    "report/table1",
    "Table 1 and Figure 2: best score of each model over three settings",
    [
        Row("real", "Real data", IS="9.6727", FID="17.269", absent=NOT_TRAINED),
        *(
            Row(
                f"{name}_{setting}",
                f"{model.label}, setting {setting}",
                BASE,
                optimisers,
                _ttur(optimisers) if name == "sngan" else {},
                model.values,
                IS=f"{model.IS} (best of A, B, C)",
                FID=f"{model.FID} (best)",
                note=model.note,
            )
            for name, model in MODELS.items()
            for setting, optimisers in SETTINGS.items()
        ),
    ],
    also=("figure2", "figure3"),
)
