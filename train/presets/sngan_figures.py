"""The other figures of Miyato et al. 2018: map sizes, ImageNet, and the appendix."""

from train.presets.sngan_shared import (
    AC_WGAN_GP_RESNET,
    CNN_CIFAR10,
    CNN_STL10,
    CNNS,
    IMAGENET_CONCAT,
    IMAGENET_PROJECTION,
    IMAGENET_UNCONDITIONAL,
    METHODS,
    OPEN_ORTHONORMAL,
    PLAIN,
    SETTINGS,
    WGAN_GP_RESNET,
    scores,
)
from train.presets.tables import MIYATO, Row, Table, Values, merged

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


def figure_4() -> Table:
    """Return Figure 4, SN and orthonormal at several sizes of the last map."""
    rows = [
        Row(
            name=f"{method}_{size:g}",
            label=f"{METHODS[method][0]}, relative size {size:g}",
            base=CNN_STL10,
            values=merged(
                SETTINGS["C"], METHODS[method][1], {"discriminator": {"top_size": size}} if size != 1 else {}
            ),
            reported={"inception_score": ""},
            note="The sizes are read off no list: the figure's axis is not printed in the text."
            + f" {OPEN_ORTHONORMAL}" * (method == "orthonormal"),
        )
        for method in ("orthonormal", "spectral_norm")
        for size in (0.5, 1.0, 2.0, 4.0, 8.0)
    ]
    return Table(
        paper="sngan",
        citation=MIYATO,
        name="figure4",
        title="Figure 4: relative size of the last feature map, STL-10, setting C",
        metrics=("inception_score",),
        protocol="paper",
        rows=tuple(rows),
    )


def imagenet_figures() -> list[Table]:
    """Return Figures 5 and 13, the ImageNet runs."""
    orthonormal, plain = METHODS["orthonormal"][1], PLAIN
    layer = METHODS["layer_norm"][1]
    five = [
        ("spectral_norm", "SN-GANs", {}, {"inception_score": "21.1+-.35", "ms_ssim": "0.101"}, ""),
        (
            "orthonormal",
            "orthonormal regularisation",
            orthonormal,
            {"inception_score": "", "ms_ssim": ""},
            f"Plateaus near 20,000 iterations, says section 4.2. {OPEN_ORTHONORMAL}",
        ),
        ("no_norm", "without normalisation", plain, {"inception_score": "collapsed"}, ""),
        ("layer_norm", "layer normalisation", layer, {"inception_score": "collapsed"}, ""),
    ]
    thirteen = [
        (f"{kind}_{method}", f"{title}, {label}", base, values)
        for kind, title, base in (
            ("unconditional", "(a) no labels", IMAGENET_UNCONDITIONAL),
            ("projection", "(b) projection", IMAGENET_PROJECTION),
        )
        for method, label, values in (("spectral_norm", "SN", {}), ("orthonormal", "orthonormal", orthonormal))
    ]
    return [
        Table(
            paper="sngan",
            citation=MIYATO,
            name="figure5",
            title="Figure 5 and section 4.2: conditional ImageNet at 128 px",
            metrics=("inception_score", "ms_ssim"),
            protocol="paper",
            rows=tuple(
                Row(name=name, label=label, base=IMAGENET_CONCAT, values=values, reported=reported, note=note)
                for name, label, values, reported, note in five
            ),
            also=("figure7", "table6"),
        ),
        Table(
            paper="sngan",
            citation=MIYATO,
            name="figure13",
            title="Figure 13: ImageNet at 128 px without labels and with the projection head",
            metrics=("inception_score",),
            protocol="paper",
            rows=tuple(
                Row(
                    name=name,
                    label=label,
                    base=base,
                    values=values,
                    reported={"inception_score": ""},
                    note=OPEN_ORTHONORMAL if values is orthonormal else "",
                )
                for name, label, base, values in thirteen
            ),
        ),
    ]


def appendix_figures() -> list[Table]:
    """Return Figures 9, 10 and 11 of appendix C."""
    nine = Row(
        name="cifar10",
        label="SN-GAN, setting C, CIFAR-10",
        base=CNN_CIFAR10,
        values=SETTINGS["C"],
        reported={"spectral_norms": "within 0.05 of 1, but for layers 6 and 7 at first"},
    )
    ten = [
        Row(
            name=f"{dataset}_{method}",
            label=f"{label}, {dataset}",
            base=base,
            values=merged(SETTINGS["A"], values, {"steps": 100}),
            reported={"seconds_per_100_updates": ""},
            note="A time, not a score: 100 generator updates with five D updates each.",
        )
        for dataset, base in CNNS.items()
        for method, (label, values) in {
            "wgan_gp": METHODS["wgan_gp"],
            "weight_norm": METHODS["weight_norm"],
            "spectral_norm": METHODS["spectral_norm"],
            "vanilla": ("Vanilla GAN", PLAIN),
        }.items()
    ]
    eleven = [
        Row(
            name=f"{method}_{n_dis}",
            label=f"{METHODS[method][0]}, n_dis {n_dis}",
            base=CNN_CIFAR10,
            values=merged(SETTINGS["D"], METHODS[method][1], {"d_updates_per_step": n_dis}),
            reported={"inception_score": ""},
            note="The figure's values of n_dis are not printed in the text.",
        )
        for method in ("spectral_norm", "weight_norm")
        for n_dis in (1, 2, 5, 10)
    ]
    shared = {"paper": "sngan", "citation": MIYATO, "protocol": "paper"}
    return [
        Table(
            **shared,
            name="figure9",
            title="Figure 9: spectral norms of D's convolutions during training",
            metrics=("spectral_norms",),
            rows=(nine,),
        ),
        Table(
            **shared,
            name="figure10",
            title="Figure 10: time of 100 updates, n_dis = 5",
            metrics=("seconds_per_100_updates",),
            rows=tuple(ten),
        ),
        Table(
            **shared,
            name="figure11",
            title="Figure 11: the effect of n_dis, setting D",
            metrics=("inception_score",),
            rows=tuple(eleven),
        ),
    ]
