"""Figures 1 and 2 and Table 2 of Miyato et al. 2018: every method on CIFAR-10 and STL-10."""

from collections.abc import Mapping

from train.presets.sngan_shared import (
    CNNS,
    HINGE,
    METHODS,
    ORTHO,
    RESNETS,
    SETTINGS,
    WGAN_GP_RESNET,
)
from train.presets.tables import NOT_TRAINED, Base, Method, Row, Table, Values, row

# The plots' numbers are not printed. Table 2 has no cell for GAN-GP and batch norm on STL-10.
FIGURE_1 = Table(
    "sngan/figure1",
    "Table 1 and Figures 1 and 2: settings A to F against each method",
    [
        row(
            f"{dataset}_{name}_{setting}",
            f"{method.label}, setting {setting}, {'CIFAR-10' if dataset == 'cifar10' else 'STL-10'}",
            base,
            optimisers,
            method,
            IS="",
            FID="",
        )
        for dataset, base in CNNS.items()
        for name, method in METHODS.items()
        if dataset == "cifar10" or name not in ("gan_gp", "batch_norm")
        for setting, optimisers in SETTINGS.items()
    ],
    also=("table1", "figure2", "figure6", "figure12"),
)

Scores = tuple[str, ...]  # inception score and FID, as printed


def _line(
    name: str,
    label: str,
    *parts: Values | Method,
    cifar10: Scores = (),
    stl10: Scores = (),
    bases: Mapping[str, Base] = CNNS,
    note: str = "",
    absent: str = "",
) -> list[Row]:
    """Return the rows of a line of Table 2: one for each data set that it has numbers for."""
    return [
        row(
            f"{dataset}_{name}",
            f"{label}, {dataset}",
            None if absent else bases[dataset],
            *parts,
            note=note,
            absent=absent,
            **dict(zip(("IS", "FID"), scores, strict=False)),
        )
        for dataset, scores in (("cifar10", cifar10), ("stl10", stl10))
        if scores
    ]


def _method(name: str, setting: str, *, known: bool = False, **scores: Scores) -> list[Row]:
    """Return a line of Table 2 of one method at its best setting, which is `known` where the paper names it."""
    note = "" if known else f"The paper takes the best of settings A to F without naming it; here {setting}."
    return _line(name, METHODS[name].label, SETTINGS[setting], METHODS[name], note=note, **scores)


def _resnet(name: str, **scores: Scores) -> list[Row]:
    """Return a line of Table 2's lower half, ResNets under the hinge loss."""
    return _line(f"resnet_{name}", f"{METHODS[name].label}, Eq.(17), ResNet", METHODS[name], bases=RESNETS, **scores)


B, C = SETTINGS["B"], SETTINGS["C"]
X2: Values = {"steps": 200_000}
DCGAN = {
    "architecture": "dcgan",
    "generator.latent_dim": 100,
    "generator.latent": "uniform",
    **METHODS["batch_norm"].values,
}
YANG = "Quoted from Yang et al. 2017. Radford et al.'s networks and optimiser; batch norm of D without gain."
QUOTED = "quoted by the paper; that system is none of these modules"
TOO_SMALL = "quoted by the paper; DCGAN halves the side to 4 px, which 48 px does not allow"

# The best setting is named only for orthonormal (Figure 4: C) and for SN on STL-10 (footnote 4: B).
TABLE_2 = Table(
    "sngan/table2",
    "Table 2: inception score and FID on CIFAR-10 and STL-10, no labels",
    [
        *_line("real", "Real data", cifar10=("11.24+-.12", "7.8"), stl10=("26.08+-.26", "7.9"), absent=NOT_TRAINED),
        *_method("weight_clipping", "C", cifar10=("6.41+-.11", "42.6"), stl10=("7.57+-.10", "64.2")),
        *_method("gan_gp", "A", cifar10=("6.93+-.08", "37.7")),
        *_method("wgan_gp", "A", cifar10=("6.68+-.06", "40.2"), stl10=("8.42+-.13", "55.1")),
        *_method("batch_norm", "C", cifar10=("6.27+-.10", "56.3")),
        *_method("layer_norm", "C", cifar10=("7.19+-.12", "33.9"), stl10=("7.61+-.12", "75.6")),
        *_method("weight_norm", "C", cifar10=("6.84+-.07", "34.7"), stl10=("7.16+-.10", "73.4")),
        *_method("orthonormal", "C", cifar10=("7.40+-.12", "29.0"), stl10=("8.56+-.07", "46.7"), known=True),
        *_method("spectral_norm", "C", cifar10=("7.42+-.08", "29.3")),
        *_method("spectral_norm", "B", stl10=("8.28+-.09", "53.1"), known=True),
        *_line("orthonormal_2x", "Orthonormal (2x updates)", C, ORTHO, X2, stl10=("8.67+-.08", "44.2")),
        *_line("spectral_norm_2x", "(ours) SN-GANs (2x updates)", B, X2, stl10=("8.69+-.09", "47.5")),
        *_line("spectral_norm_hinge", "(ours) SN-GANs, Eq.(17)", C, HINGE, cifar10=("7.58+-.12", "25.5")),
        *_line(
            "spectral_norm_hinge_2x", "(ours) SN-GANs, Eq.(17) (2x updates)", B, HINGE, X2, stl10=("8.79+-.14", "43.2")
        ),
        *_resnet("orthonormal", cifar10=("7.92+-.04", "23.8+-.58"), stl10=("8.72+-.06", "42.4+-.99")),
        *_resnet("spectral_norm", cifar10=("8.22+-.05", "21.7+-.21"), stl10=("9.10+-.04", "40.1+-.50")),
        *_line("dcgan", "DCGAN (Radford et al.)", C, DCGAN, cifar10=("6.64+-.14",), note=YANG),
        row("cifar10_wgan_gp_resnet", "WGAN-GP (ResNet, Gulrajani et al.), cifar10", WGAN_GP_RESNET, IS="7.86+-.08"),
        *_line("lr_gan", "LR-GANs", cifar10=("7.17+-.07",), absent=QUOTED),
        *_line("warde_farley", "Warde-Farley et al.", cifar10=("7.72+-.13",), absent=QUOTED),
        *_line("dcgan", "DCGAN (Radford et al.)", stl10=("7.84+-.07",), absent=TOO_SMALL),
        *_line("warde_farley", "Warde-Farley et al.", stl10=("8.51+-.13",), absent=QUOTED),
    ],
    also=("figure3", "table4", "table5"),
)
