"""Tables 7 and 8 of Miyato et al. 2018: normalised weights with a learned factor, under gradient penalty."""

from train.reproduction.rows import MIYATO, Row, Table, Values, merged
from train.reproduction.sngan_shared import (
    AC_WGAN_GP_RESNET,
    CNN_CIFAR10,
    METHODS,
    SETTINGS,
    WGAN_GP_RESNET,
    scores,
)

_QUOTED = "quoted by the paper; its own run of the same system is the baseline"


def table_7() -> Table:
    """Return Table 7, without labels."""
    cnn = merged(SETTINGS["A"], METHODS["wgan_gp"][1])

    def reparametrised(**constraint: object) -> Values:
        return merged(cnn, {"constraint": constraint})

    wide: Values = {"discriminator": {"channels": 192}}
    resnet_gamma: Values = {"constraint": {"kind": "spectral", "gamma": "per_layer"}}
    note = "Gamma starts so that the weights are unchanged, as in the official sn_convolution_2d.py."
    rows = [
        Row(
            name="cnn",
            label="WGAN-GP (Standard CNN, Baseline)",
            base=CNN_CIFAR10,
            values=cnn,
            reported=scores("6.68+-.06", "40.1"),
        ),
        Row(
            name="cnn_frobenius_norm",
            label="w/ Frobenius Norm.",
            base=CNN_CIFAR10,
            values=reparametrised(kind="frobenius", gamma="per_layer"),
            reported=scores("collapsed", "collapsed"),
            note=note,
        ),
        Row(
            name="cnn_weight_norm",
            label="w/ Weight Norm.",
            base=CNN_CIFAR10,
            values=reparametrised(kind="weight", gamma="per_row"),
            reported=scores("6.36+-.04", "42.4"),
            note=f"{note} One gamma a row, as Salimans and Kingma.",
        ),
        Row(
            name="cnn_spectral_norm",
            label="w/ Spectral Norm.",
            base=CNN_CIFAR10,
            values=reparametrised(kind="spectral", gamma="per_layer"),
            reported=scores("7.20+-.08", "32.0"),
            note=note,
        ),
        Row(
            name="resnet_gulrajani",
            label="WGAN-GP (ResNet, Gulrajani et al.)",
            reported={"inception_score": "7.86+-.08"},
            absent=_QUOTED,
        ),
        Row(
            name="resnet",
            label="WGAN-GP (ResNet, Baseline)",
            base=WGAN_GP_RESNET,
            reported=scores("7.80+-.11", "24.5"),
        ),
        Row(
            name="resnet_spectral_norm",
            label="w/ Spectral norm.",
            base=WGAN_GP_RESNET,
            values=resnet_gamma,
            reported=scores("7.85+-.06", "23.6"),
            note=note,
        ),
        Row(
            name="resnet_spectral_norm_wide",
            label="w/ Spectral norm. (1.5x feature maps in D)",
            base=WGAN_GP_RESNET,
            values=merged(resnet_gamma, wide),
            reported=scores("7.96+-.06", "22.5"),
            note=note,
        ),
    ]
    return Table(
        paper="sngan",
        citation=MIYATO,
        name="table7",
        title="Table 7: reparametrisations under WGAN-GP, CIFAR-10 without labels",
        metrics=("inception_score", "fid"),
        protocol="paper",
        rows=tuple(rows),
        also=("figure15",),
    )


def table_8() -> Table:
    """Return Table 8, with labels and an auxiliary classifier."""
    gamma: Values = {"constraint": {"kind": "spectral", "gamma": "per_layer"}}
    rows = [
        ("baseline", "AC-WGAN-GP (Baseline)", {}, ("8.29+-.12", "19.5")),
        ("spectral_norm", "w/ Spectral norm.", gamma, ("8.59+-.12", "18.6")),
        (
            "spectral_norm_wide",
            "w/ Spectral norm. (1.5x feature maps in D)",
            merged(gamma, {"discriminator": {"channels": 192}}),
            ("8.60+-.08", "17.5"),
        ),
    ]
    return Table(
        paper="sngan",
        citation=MIYATO,
        name="table8",
        title="Table 8: reparametrisations under AC-WGAN-GP, CIFAR-10 with labels",
        metrics=("inception_score", "fid"),
        protocol="paper",
        rows=(
            Row(
                name="gulrajani",
                label="AC-WGAN-GP (Gulrajani et al.)",
                reported={"inception_score": "8.42+-.10"},
                absent=_QUOTED,
            ),
            *(
                Row(name=name, label=label, base=AC_WGAN_GP_RESNET, values=values, reported=scores(*numbers))
                for name, label, values, numbers in rows
            ),
        ),
    )
