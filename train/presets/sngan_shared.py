"""What the rows of Miyato et al. 2018 share: networks, settings A to F, and methods."""

from typing import Any

from train.presets.tables import NO_AVERAGE, Base, Dataset, Method, Values, adam, constraint

CIFAR10 = Dataset("--source torchvision:CIFAR10 --download --resolution 32", "data/cifar10-32", 32)
STL10 = Dataset("--source torchvision:STL10 --download --split unlabeled --resolution 48", "data/stl10-48", 48)
IMAGENET = Dataset(
    "--source imagefolder:/path/to/ILSVRC2012/train --resolution 128 --min-side 256", "data/imagenet-128", 128
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

NO_LABELS: Values = {"num_classes": 0, "discriminator.head": "unconditional"}
# The standard CNN (Table 3) without labels, at a batch of 64 and a constant rate.
CNN: Values = {"architecture": "cnn", **NO_LABELS, "fakes_per_step": 64, "decay_from": None, **NO_AVERAGE}
_CNN_SOURCE = (
    "sections 4 and 4.1, Table 3: standard CNN, 100,000 generator updates, standard loss; batch of 64 as in train.py "
    "of pfnet-research/chainer-gan-lib, for the paper does not give one"
)
_CNN = CNN | STANDARD | {"steps": 100_000}
CNN_CIFAR10 = Base("sngan/base/cnn_cifar10", "Standard CNN on CIFAR-10, no labels", _CNN_SOURCE, CIFAR10, _CNN)
CNN_STL10 = Base("sngan/base/cnn_stl10", "Standard CNN on STL-10 at 48 px, no labels", _CNN_SOURCE, STL10, _CNN)
CNNS = {"cifar10": CNN_CIFAR10, "stl10": CNN_STL10}

_RESNET_SOURCE = (
    "appendix B.2, Tables 4 and 5: Adam 0.0002, 0, 0.9, five D updates; 100,000 generator updates (section 4.1) with "
    "Gulrajani et al.'s linear decay from the start"
)
_RESNET: Values = {**NO_LABELS, "steps": 100_000, "decay_from": 0, **NO_AVERAGE}
RESNETS = {
    "cifar10": Base(
        "sngan/base/resnet_cifar10", "ResNet on CIFAR-10, no labels, hinge loss", _RESNET_SOURCE, CIFAR10, _RESNET
    ),
    "stl10": Base("sngan/base/resnet_stl10", "ResNet on STL-10 at 48 px, hinge loss", _RESNET_SOURCE, STL10, _RESNET),
}

_GULRAJANI_SOURCE = "appendix E.1: the ResNet of gan_cifar_resnet.py of igul222/improved_wgan_training"
_GULRAJANI = {
    **_RESNET,
    "generator.channels": 128,
    "discriminator.pool": "mean",
    "discriminator.score_bias": True,
    **WGAN_GP,
}
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
