"""The table of the reproducibility report, Feng et al. 2019."""

from train.presets.sngan_shared import CIFAR10
from train.presets.tables import FENG, NO_AVERAGE, Base, Row, Table, Values, adam, both, merged

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
    values={
        "resolution": 32,
        "num_classes": 0,
        "architecture": "cnn",
        "discriminator": {"head": "unconditional"},
        "loss": {"kind": "non_saturating"},
        "steps": 234_300,  # 300 epochs of 781 batches
        "decay_from": None,
        "d_updates_per_step": 1,
        "fakes_per_step": 64,
        "ema": NO_AVERAGE,
        "data": {"path": "data/cifar10-32"},
    },
)

_AUTOENCODER = (
    "Autoencoding discriminator and generator without batch norm as in began/ of pfnet-research/chainer-gan-lib."
)
METHODS: dict[str, tuple[str, Values, tuple[str, str], str]] = {
    "began": (
        "BEGAN",
        {
            "generator": {"norm": "none"},
            "discriminator": {"head": "reconstruction"},
            "loss": {"kind": "began"},
            "constraint": {"kind": "none"},
        },
        ("2.8899", "193.063"),
        f"{_AUTOENCODER} Diversity 0.75 and rate 0.001 are common choices.",
    ),
    "ebgan": (
        "EBGAN",
        {
            "discriminator": {"head": "reconstruction", "error": "l2"},
            "loss": {"kind": "ebgan"},
            "constraint": {"kind": "none"},
        },
        ("2.2915", "232.225"),
        f"{_AUTOENCODER} Squared error and margin 1, without the pulling-away term.",
    ),
    "wgan_gp": (
        "WGAN-GP",
        {"loss": {"kind": "wasserstein"}, "constraint": {"kind": "none", "gradient_penalty": 10.0}},
        ("3.6489", "186.357"),
        "",
    ),
    "batch_norm": ("BN", {"constraint": {"kind": "none", "features": "batch"}}, ("2.8561", "243.652"), ""),
    "layer_norm": ("LN", {"constraint": {"kind": "none", "features": "layer"}}, ("3.3469", "219.828"), ""),
    "sngan": (
        "SNGAN",
        {"constraint_g": {"kind": "spectral"}, "discriminator": {"slope": 0.02}},
        ("3.8849", "173.387"),
        "Section 3: spectral norm in every layer of both networks, D learns four times as fast (TTUR), slope 0.02.",
    ),
}


def _ttur(setting: Values) -> Values:
    """D's rate is four times G's. Source: section 3, which gives 0.004 and 0.001; Heusel et al. 2017."""
    return {"optim_d": {"lr": 4 * setting["optim_g"]["lr"]}}


def _rows() -> list[Row]:
    real = {"inception_score": "9.6727", "fid": "17.269"}
    rows = [Row(name="real", label="Real data", reported=real, absent="nothing is trained")]
    for name, (label, values, scores, note) in METHODS.items():
        for setting, optimisers in SETTINGS.items():
            rates = _ttur(optimisers) if name == "sngan" else {}
            rows.append(
                Row(
                    name=f"{name}_{setting}",
                    label=f"{label}, setting {setting}",
                    base=BASE,
                    values=merged(optimisers, rates, values),
                    reported={"inception_score": f"{scores[0]} (best of A, B, C)", "fid": f"{scores[1]} (best)"},
                    note=note,
                )
            )
    return rows


def table_1() -> Table:
    """Return Table 1, each model's best over three settings."""
    return Table(
        paper="report",
        citation=FENG,
        name="table1",
        title="Table 1 and Figure 2: best score of each model over three settings",
        metrics=("inception_score", "fid"),
        protocol="paper",
        rows=tuple(_rows()),
        also=("figure2", "figure3"),
    )
