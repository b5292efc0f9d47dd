"""Miyato et al. 2018: networks, settings A to F and methods; Figures 1 and 2 and Table 2, on CIFAR-10 and STL-10."""

from collections.abc import Mapping
from typing import Any

from train.presets.tables import NOT_TRAINED, Base, Dataset, Method, Row, Table, Values, adam, constraint, row

CIFAR10 = Dataset("--source torchvision:CIFAR10 --download --resolution 32", "data/cifar10-32", 32)
STL10 = Dataset("--source torchvision:STL10 --download --split unlabeled --resolution 48", "data/stl10-48", 48)
IMAGENET = Dataset(
    "--source imagefolder:/path/to/ILSVRC2012/train --resolution 128 --min-side 256 --colour-profile ignore",
    "data/imagenet-128",
    128,
)

# Table 1. A: Gulrajani et al.; B: Warde-Farley and Bengio; C: Radford et al.; D to F: the authors' harder ones.
SETTINGS = {
    "A": adam(0.0001, 0.5, 0.9, n_dis=5),
    "B": adam(0.0001, 0.5, 0.999, n_dis=1),
    "C": adam(0.0002, 0.5, 0.999, n_dis=1),
    "D": adam(0.001, 0.5, 0.9, n_dis=5),
    "E": adam(0.001, 0.5, 0.999, n_dis=5),
    "F": adam(0.001, 0.9, 0.999, n_dis=5),
}


def no_sn(**others: Any) -> Values:
    """Return the settings of a D without weight normalisation, perhaps constrained in another way."""
    return constraint(kind="none", **others)


# Section 4.1. The standard loss (equation 15 with the alternate generator cost) for all but WGAN-GP.
STANDARD: Values = {"loss.kind": "non_saturating"}
HINGE: Values = {"loss.kind": "hinge"}
WASSERSTEIN: Values = {"loss.kind": "wasserstein"}
WGAN_GP = WASSERSTEIN | no_sn(gradient_penalty=10.0)
METHODS = {
    "weight_clipping": Method("Weight clipping", no_sn(weight_clip=0.01)),
    "gan_gp": Method("GAN-GP", no_sn(gradient_penalty=10.0)),
    "wgan_gp": Method("WGAN-GP", WGAN_GP),
    "batch_norm": Method("Batch Norm.", no_sn(features="batch")),
    "layer_norm": Method("Layer Norm.", no_sn(features="layer")),
    "weight_norm": Method("Weight Norm.", constraint(kind="weight")),
    "orthonormal": Method(
        "Orthonormal",
        no_sn(init="orthonormal", orthonormal_penalty=1.0),
        "The weight of the orthonormal term is not given; equation 14 is taken as it stands (1).",
    ),
    "spectral_norm": Method("(ours) SN-GANs", {}),
}
ORTHO = METHODS["orthonormal"]

# The papers score the generator itself; a decay of 0 makes the average that is saved a copy of it.
NO_AVERAGE: Values = {"ema.decay": 0.0}
NO_LABELS: Values = {"num_classes": 0, "discriminator.head": "unconditional"}
# The standard CNN (Table 3) without labels, at a batch of 64 and a constant rate, on real images without noise.
CNN: Values = {"architecture": "cnn", "generator.first_norm": "unit", **NO_LABELS, "data.dequantise": False}
CNN |= {"fakes_per_step": 64, "decay_from": None, **NO_AVERAGE}
_CNN_SOURCE = (
    "sections 4 and 4.1, Table 3: standard CNN, 100,000 generator updates, standard loss; what the paper leaves open "
    "as in pfnet-research/chainer-gan-lib: batch of 64 (train.py), first batch norm per unit (common/net.py), real "
    "images without noise (common/dataset.py); the paper's slope of 0.1, where that code has 0.2"
)
_CNN_VALUES = CNN | STANDARD | {"steps": 100_000}
CNN_CIFAR10 = Base("sngan/base/cnn_cifar10", "Standard CNN on CIFAR-10, no labels", _CNN_SOURCE, CIFAR10, _CNN_VALUES)
CNN_STL10 = Base("sngan/base/cnn_stl10", "Standard CNN on STL-10 at 48 px, no labels", _CNN_SOURCE, STL10, _CNN_VALUES)
CNNS = {"cifar10": CNN_CIFAR10, "stl10": CNN_STL10}

_RESNET_SOURCE = (
    "appendix B.2, Tables 4 and 5: Adam 0.0002, 0, 0.9, five D updates; 100,000 generator updates (section 4.1) with "
    "Gulrajani et al.'s linear decay from the start; real images with noise below the step of 8 bits as in "
    "datasets/cifar10.py of pfnet-research/sngan_projection"
)
_RESNET: Values = {**NO_LABELS, "steps": 100_000, "decay_from": 0, **NO_AVERAGE}
RESNETS = {
    "cifar10": Base(
        "sngan/base/resnet_cifar10", "ResNet on CIFAR-10, no labels, hinge loss", _RESNET_SOURCE, CIFAR10, _RESNET
    ),
    "stl10": Base("sngan/base/resnet_stl10", "ResNet on STL-10 at 48 px, hinge loss", _RESNET_SOURCE, STL10, _RESNET),
}

_GULRAJANI_SOURCE = (
    "appendix E.1: the ResNet of gan_cifar_resnet.py of igul222/improved_wgan_training, whose real images have the "
    "same noise as datasets/cifar10.py of pfnet-research/sngan_projection"
)
_GULRAJANI: Values = {**_RESNET, **WGAN_GP, "generator.channels": 128}
_GULRAJANI |= {"discriminator.pool": "mean", "discriminator.score_bias": True}
WGAN_GP_RESNET = Base(
    "sngan/base/wgan_gp_resnet",
    "WGAN-GP with Gulrajani et al.'s ResNet on CIFAR-10, no labels",
    _GULRAJANI_SOURCE,
    CIFAR10,
    _GULRAJANI,
)
AC_WGAN_GP_RESNET = Base(
    "sngan/base/ac_wgan_gp_resnet",
    "AC-WGAN-GP with Gulrajani et al.'s ResNet on CIFAR-10, with labels",
    f"{_GULRAJANI_SOURCE}, ACGAN_SCALE 1 and ACGAN_SCALE_G 0.1",
    CIFAR10,
    {**_GULRAJANI, "num_classes": 10, "discriminator.head": "auxiliary_classifier"},
)

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
    "generator.first_norm": "channel",
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
