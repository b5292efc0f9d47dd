"""The other figures and tables of Miyato et al. 2018: sizes of the last map, ImageNet, and the appendix."""

from train.presets.sngan import (
    AC_WGAN_GP_RESNET,
    CNN_CIFAR10,
    CNN_STL10,
    CNNS,
    IMAGENET,
    METHODS,
    NO_AVERAGE,
    NO_LABELS,
    ORTHO,
    SETTINGS,
    WGAN_GP,
    WGAN_GP_RESNET,
    no_sn,
)
from train.presets.tables import Base, Method, Row, Table, Values, constraint, row

FIGURE_4 = Table(
    "sngan/figure4",
    "Figure 4: relative size of the last feature map, STL-10, setting C",
    [
        row(
            f"{name}_{size:g}",
            f"{METHODS[name].label}, relative size {size:g}",
            CNN_STL10,
            SETTINGS["C"],
            METHODS[name],
            {"discriminator.top_size": size},
            IS="",
            note="The sizes are read off no list: the figure's axis is not printed in the text.",
        )
        for name in ("orthonormal", "spectral_norm")
        for size in (0.5, 1.0, 2.0, 4.0, 8.0)
    ],
)


def _imagenet(name: str, title: str, values: Values) -> Base:
    source = "section 4.2, appendix B.3, Table 6; batch sizes and the real images' noise of the official code"
    return Base(f"sngan/base/imagenet_{name}", title, source, IMAGENET, values | NO_AVERAGE)


CONCAT = _imagenet("concat", "Conditional GAN on ImageNet 128 px, label concatenated", {"discriminator.head": "concat"})
UNCONDITIONAL = _imagenet("unconditional", "GAN on ImageNet 128 px, no labels", NO_LABELS)
PROJECTION = _imagenet("projection", "Conditional GAN on ImageNet 128 px, projection head", {})
FIGURE_5 = Table(
    "sngan/figure5",
    "Figure 5 and section 4.2: conditional ImageNet at 128 px",
    [
        row("spectral_norm", "SN-GANs", CONCAT, IS="21.1+-.35", ms_ssim="0.101"),
        row(
            "orthonormal",
            "orthonormal regularisation",
            CONCAT,
            ORTHO,
            IS="",
            ms_ssim="",
            note="Plateaus near 20,000 iterations, says section 4.2.",
        ),
        row("no_norm", "without normalisation", CONCAT, no_sn(), IS="collapsed"),
        row("layer_norm", "layer normalisation", CONCAT, METHODS["layer_norm"], IS="collapsed"),
    ],
    also=("figure7", "table6"),
)

FIGURE_13 = Table(
    "sngan/figure13",
    "Figure 13: ImageNet at 128 px without labels and with the projection head",
    [
        row("unconditional_spectral_norm", "(a) no labels, SN", UNCONDITIONAL, IS=""),
        row("unconditional_orthonormal", "(a) no labels, orthonormal", UNCONDITIONAL, ORTHO, IS=""),
        row("projection_spectral_norm", "(b) projection, SN", PROJECTION, IS=""),
        row("projection_orthonormal", "(b) projection, orthonormal", PROJECTION, ORTHO, IS=""),
    ],
)

FIGURE_9 = Table(
    "sngan/figure9",
    "Figure 9: spectral norms of D's convolutions during training",
    [
        row(
            "cifar10",
            "SN-GAN, setting C, CIFAR-10",
            CNN_CIFAR10,
            SETTINGS["C"],
            spectral_norms="within 0.05 of 1, but for layers 6 and 7 at first",
        )
    ],
)

TIMED = {
    **{name: METHODS[name] for name in ("wgan_gp", "weight_norm", "spectral_norm")},
    "vanilla": Method("Vanilla GAN", no_sn()),
}
FIGURE_10 = Table(
    "sngan/figure10",
    "Figure 10: time of 100 updates, n_dis = 5",
    [
        row(
            f"{dataset}_{name}",
            f"{method.label}, {dataset}",
            base,
            SETTINGS["A"],
            method,
            {"steps": 100},
            seconds_per_100_updates="",
            note="A time, not a score: 100 generator updates with five D updates each.",
        )
        for dataset, base in CNNS.items()
        for name, method in TIMED.items()
    ],
)

FIGURE_11 = Table(
    "sngan/figure11",
    "Figure 11: the effect of n_dis, setting D",
    [
        row(
            f"{name}_{n_dis}",
            f"{METHODS[name].label}, n_dis {n_dis}",
            CNN_CIFAR10,
            SETTINGS["D"],
            METHODS[name],
            {"d_updates_per_step": n_dis},
            IS="",
            note="The figure's values of n_dis are not printed in the text.",
        )
        for name in ("spectral_norm", "weight_norm")
        for n_dis in (1, 2, 5, 10)
    ],
)

# Appendix E: gammas, in the words of `ConstraintConfig`.
GP = SETTINGS["A"] | WGAN_GP
FN = constraint(kind="frobenius", gamma="per_layer")
WN = constraint(kind="weight", gamma="per_row")
SN = constraint(kind="spectral", gamma="per_layer")
WIDE: Values = {**SN, "discriminator.channels": 192}
WIDER = "w/ Spectral norm. (1.5x feature maps in D)"
NOTE = "Gamma starts so that the weights are unchanged, as in the official sn_convolution_2d.py."
AT_A = Method(
    "",
    {},
    "Appendix E.1 names no optimiser. The baseline's score is that of WGAN-GP in Table 2, taken there at setting A, "
    "that of Gulrajani et al.",
)
PER_ROW = f"{NOTE} One gamma a row, as Salimans and Kingma."
QUOTED = "quoted by the paper; its own run of the same system is the baseline"


def _cnn(name: str, label: str, gamma: Values, *, IS: str, FID: str, note: str = "") -> Row:
    return row(name, label, CNN_CIFAR10, GP, gamma, AT_A, IS=IS, FID=FID, note=note)


TABLE_7 = Table(
    "sngan/table7",
    "Table 7: reparametrisations under WGAN-GP, CIFAR-10 without labels",
    [
        _cnn("cnn", "WGAN-GP (Standard CNN, Baseline)", {}, IS="6.68+-.06", FID="40.1"),
        _cnn("cnn_frobenius_norm", "w/ Frobenius Norm.", FN, IS="collapsed", FID="collapsed", note=NOTE),
        _cnn("cnn_weight_norm", "w/ Weight Norm.", WN, IS="6.36+-.04", FID="42.4", note=PER_ROW),
        _cnn("cnn_spectral_norm", "w/ Spectral Norm.", SN, IS="7.20+-.08", FID="32.0", note=NOTE),
        row("resnet_gulrajani", "WGAN-GP (ResNet, Gulrajani et al.)", IS="7.86+-.08", absent=QUOTED),
        row("resnet", "WGAN-GP (ResNet, Baseline)", WGAN_GP_RESNET, IS="7.80+-.11", FID="24.5"),
        row("resnet_spectral_norm", "w/ Spectral norm.", WGAN_GP_RESNET, SN, IS="7.85+-.06", FID="23.6", note=NOTE),
        row("resnet_spectral_norm_wide", WIDER, WGAN_GP_RESNET, WIDE, IS="7.96+-.06", FID="22.5", note=NOTE),
    ],
    also=("figure15",),
)

TABLE_8 = Table(
    "sngan/table8",
    "Table 8: reparametrisations under AC-WGAN-GP, CIFAR-10 with labels",
    [
        row("gulrajani", "AC-WGAN-GP (Gulrajani et al.)", IS="8.42+-.10", absent=QUOTED),
        row("baseline", "AC-WGAN-GP (Baseline)", AC_WGAN_GP_RESNET, IS="8.29+-.12", FID="19.5"),
        row("spectral_norm", "w/ Spectral norm.", AC_WGAN_GP_RESNET, SN, IS="8.59+-.12", FID="18.6", note=NOTE),
        row("spectral_norm_wide", WIDER, AC_WGAN_GP_RESNET, WIDE, IS="8.60+-.08", FID="17.5", note=NOTE),
    ],
)

NO_NUMBER = "no number"
RELATED = Table(
    "sngan/related",
    "Section 2.1 and appendix D.3: other constraints on D's spectral norm, discussed without numbers",
    [
        row(
            "spectral_regularisation",
            "Spectral norm regularisation (Yoshida and Miyato 2017)",
            CNN_CIFAR10,
            SETTINGS["C"],
            no_sn(spectral_penalty=0.01),
            IS=NO_NUMBER,
            FID=NO_NUMBER,
            note="Not run in the paper, whose section 2.1 sets it apart. lambda / 2 times the sum of the layers' sigma "
            "squared is added to D's loss, lambda 0.01 as Yoshida and Miyato; setting C, where SN does best here.",
        ),
        row(
            "singular_value_clipping",
            "Singular value clipping (Saito et al. 2017)",
            CNN_CIFAR10,
            SETTINGS["C"],
            no_sn(singular_clip_every=5),
            IS=NO_NUMBER,
            FID=NO_NUMBER,
            note="Not run in the paper, whose appendix D.3 names its cost. Singular values above 1 are set to 1 after "
            "every fifth update of D, as Saito et al. do under their Wasserstein loss; here the standard loss of "
            "section 4.1, the (outputs, inputs kH kW) matrix of SN, and setting C.",
        ),
    ],
)
