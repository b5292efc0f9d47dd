"""The other figures and tables of Miyato et al. 2018: sizes of the last map, ImageNet, and the appendix."""

from train.presets.sngan_shared import (
    AC_WGAN_GP_RESNET,
    CNN_CIFAR10,
    CNN_STL10,
    CNNS,
    IMAGENET_CONCAT,
    IMAGENET_PROJECTION,
    IMAGENET_UNCONDITIONAL,
    METHODS,
    SETTINGS,
    WGAN_GP_RESNET,
    Method,
    no_sn,
)
from train.presets.tables import Row, Table, Values, merged

ORTHO, OPEN = METHODS["orthonormal"].values, METHODS["orthonormal"].note

AXIS = "The sizes are read off no list: the figure's axis is not printed in the text."
FIGURE_4 = Table(
    "sngan/figure4",
    "Figure 4: relative size of the last feature map, STL-10, setting C",
    [
        Row(
            f"{name}_{size:g}",
            f"{METHODS[name].label}, relative size {size:g}",
            CNN_STL10,
            SETTINGS["C"],
            METHODS[name].values,
            {"discriminator": {"top_size": size}} if size != 1 else {},
            IS="",
            note=f"{AXIS} {METHODS[name].note}".rstrip(),
        )
        for name in ("orthonormal", "spectral_norm")
        for size in (0.5, 1.0, 2.0, 4.0, 8.0)
    ],
)

FIGURE_5 = Table(
    "sngan/figure5",
    "Figure 5 and section 4.2: conditional ImageNet at 128 px",
    [
        Row("spectral_norm", "SN-GANs", IMAGENET_CONCAT, IS="21.1+-.35", ms_ssim="0.101"),
        Row(
            "orthonormal",
            "orthonormal regularisation",
            IMAGENET_CONCAT,
            ORTHO,
            IS="",
            ms_ssim="",
            note=f"Plateaus near 20,000 iterations, says section 4.2. {OPEN}",
        ),
        Row("no_norm", "without normalisation", IMAGENET_CONCAT, no_sn(), IS="collapsed"),
        Row("layer_norm", "layer normalisation", IMAGENET_CONCAT, METHODS["layer_norm"].values, IS="collapsed"),
    ],
    also=("figure7", "table6"),
)

FIGURE_9 = Table(
    "sngan/figure9",
    "Figure 9: spectral norms of D's convolutions during training",
    [
        Row(
            "cifar10",
            "SN-GAN, setting C, CIFAR-10",
            CNN_CIFAR10,
            SETTINGS["C"],
            spectral_norms="within 0.05 of 1, but for layers 6 and 7 at first",
        )
    ],
)

FIGURE_10 = Table(
    "sngan/figure10",
    "Figure 10: time of 100 updates, n_dis = 5",
    [
        Row(
            f"{dataset}_{name}",
            f"{method.label}, {dataset}",
            base,
            SETTINGS["A"],
            method.values,
            {"steps": 100},
            seconds_per_100_updates="",
            note="A time, not a score: 100 generator updates with five D updates each.",
        )
        for dataset, base in CNNS.items()
        for name, method in {
            **{name: METHODS[name] for name in ("wgan_gp", "weight_norm", "spectral_norm")},
            "vanilla": Method("Vanilla GAN", no_sn()),
        }.items()
    ],
)

FIGURE_11 = Table(
    "sngan/figure11",
    "Figure 11: the effect of n_dis, setting D",
    [
        Row(
            f"{name}_{n_dis}",
            f"{METHODS[name].label}, n_dis {n_dis}",
            CNN_CIFAR10,
            SETTINGS["D"],
            METHODS[name].values,
            {"d_updates_per_step": n_dis},
            IS="",
            note="The figure's values of n_dis are not printed in the text.",
        )
        for name in ("spectral_norm", "weight_norm")
        for n_dis in (1, 2, 5, 10)
    ],
)

FIGURE_13 = Table(
    "sngan/figure13",
    "Figure 13: ImageNet at 128 px without labels and with the projection head",
    [
        Row("unconditional_spectral_norm", "(a) no labels, SN", IMAGENET_UNCONDITIONAL, IS=""),
        Row("unconditional_orthonormal", "(a) no labels, orthonormal", IMAGENET_UNCONDITIONAL, ORTHO, IS="", note=OPEN),
        Row("projection_spectral_norm", "(b) projection, SN", IMAGENET_PROJECTION, IS=""),
        Row("projection_orthonormal", "(b) projection, orthonormal", IMAGENET_PROJECTION, ORTHO, IS="", note=OPEN),
    ],
)


def _gamma(kind: str, gamma: str = "per_layer") -> Values:
    return {"constraint": {"kind": kind, "gamma": gamma}}


GP = merged(SETTINGS["A"], METHODS["wgan_gp"].values)
FN, WN, SN = _gamma("frobenius"), _gamma("weight", "per_row"), _gamma("spectral")
WIDE = merged(SN, {"discriminator": {"channels": 192}})
WIDER = "w/ Spectral norm. (1.5x feature maps in D)"
NOTE = "Gamma starts so that the weights are unchanged, as in the official sn_convolution_2d.py."
PER_ROW = f"{NOTE} One gamma a row, as Salimans and Kingma."
QUOTED = "quoted by the paper; its own run of the same system is the baseline"

TABLE_7 = Table(
    "sngan/table7",
    "Table 7: reparametrisations under WGAN-GP, CIFAR-10 without labels",
    [
        Row("cnn", "WGAN-GP (Standard CNN, Baseline)", CNN_CIFAR10, GP, IS="6.68+-.06", FID="40.1"),
        Row(
            "cnn_frobenius_norm", "w/ Frobenius Norm.", CNN_CIFAR10, GP, FN, IS="collapsed", FID="collapsed", note=NOTE
        ),
        Row("cnn_weight_norm", "w/ Weight Norm.", CNN_CIFAR10, GP, WN, IS="6.36+-.04", FID="42.4", note=PER_ROW),
        Row("cnn_spectral_norm", "w/ Spectral Norm.", CNN_CIFAR10, GP, SN, IS="7.20+-.08", FID="32.0", note=NOTE),
        Row("resnet_gulrajani", "WGAN-GP (ResNet, Gulrajani et al.)", IS="7.86+-.08", absent=QUOTED),
        Row("resnet", "WGAN-GP (ResNet, Baseline)", WGAN_GP_RESNET, IS="7.80+-.11", FID="24.5"),
        Row("resnet_spectral_norm", "w/ Spectral norm.", WGAN_GP_RESNET, SN, IS="7.85+-.06", FID="23.6", note=NOTE),
        Row("resnet_spectral_norm_wide", WIDER, WGAN_GP_RESNET, WIDE, IS="7.96+-.06", FID="22.5", note=NOTE),
    ],
    also=("figure15",),
)

TABLE_8 = Table(
    "sngan/table8",
    "Table 8: reparametrisations under AC-WGAN-GP, CIFAR-10 with labels",
    [
        Row("gulrajani", "AC-WGAN-GP (Gulrajani et al.)", IS="8.42+-.10", absent=QUOTED),
        Row("baseline", "AC-WGAN-GP (Baseline)", AC_WGAN_GP_RESNET, IS="8.29+-.12", FID="19.5"),
        Row("spectral_norm", "w/ Spectral norm.", AC_WGAN_GP_RESNET, SN, IS="8.59+-.12", FID="18.6"),
        Row("spectral_norm_wide", WIDER, AC_WGAN_GP_RESNET, WIDE, IS="8.60+-.08", FID="17.5"),
    ],
)
