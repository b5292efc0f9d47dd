"""What the rows of Miyato et al. 2018 share: networks, settings A to F, and methods."""

from typing import Any, NamedTuple

from train.presets.tables import NO_AVERAGE, Base, Values, adam, both, merged

CIFAR10 = "--source torchvision:CIFAR10 --download --resolution 32"
STL10 = "--source torchvision:STL10 --download --split unlabeled --resolution 48"
IMAGENET = "--source imagefolder:/path/to/ILSVRC2012/train --resolution 128 --min-side 256"

# Table 1. A: Gulrajani et al.; B: Warde-Farley and Bengio; C: Radford et al.; D to F: the authors' harder ones.
SETTINGS: dict[str, Values] = {
    "A": {"d_updates_per_step": 5, **both(adam(0.0001, 0.5, 0.9))},
    "B": {"d_updates_per_step": 1, **both(adam(0.0001, 0.5, 0.999))},
    "C": {"d_updates_per_step": 1, **both(adam(0.0002, 0.5, 0.999))},
    "D": {"d_updates_per_step": 5, **both(adam(0.001, 0.5, 0.9))},
    "E": {"d_updates_per_step": 5, **both(adam(0.001, 0.5, 0.999))},
    "F": {"d_updates_per_step": 5, **both(adam(0.001, 0.9, 0.999))},
}


class Method(NamedTuple):
    """How the paper constrains D.

    Args:
        label: the paper's name for it.
        values: what differs from spectral normalisation, the default of `TrainConfig`.
        note: what the paper leaves open about it.
    """

    label: str
    values: Values
    note: str = ""


def no_sn(**constraint: Any) -> Values:
    """Return the settings of a D without weight normalisation, perhaps constrained in another way."""
    return {"constraint": {"kind": "none", **constraint}}


# Section 4.1. The standard loss (equation 15 with the alternate generator cost) for all but WGAN-GP.
HINGE: Values = {"loss": {"kind": "hinge"}}
WASSERSTEIN: Values = {"loss": {"kind": "wasserstein"}}
METHODS = {
    "weight_clipping": Method("Weight clipping", no_sn(weight_clip=0.01)),
    "gan_gp": Method("GAN-GP", no_sn(gradient_penalty=10.0)),
    "wgan_gp": Method("WGAN-GP", {**WASSERSTEIN, **no_sn(gradient_penalty=10.0)}),
    "batch_norm": Method("Batch Norm.", no_sn(features="batch")),
    "layer_norm": Method("Layer Norm.", no_sn(features="layer")),
    "weight_norm": Method("Weight Norm.", {"constraint": {"kind": "weight"}}),
    "orthonormal": Method(
        "Orthonormal",
        no_sn(init="orthonormal", orthonormal_penalty=1.0),
        "The weight of the orthonormal term is not given; equation 14 is taken as it stands (1).",
    ),
    "spectral_norm": Method("(ours) SN-GANs", {}),
}


def cnn_values(path: str, resolution: int, steps: int, **values: Any) -> Values:
    """Return the settings of the standard CNN (Table 3) without labels, at a batch of 64 and a constant rate."""
    common: Values = {
        "resolution": resolution,
        "num_classes": 0,
        "architecture": "cnn",
        "discriminator": {"head": "unconditional"},
        "steps": steps,
        "decay_from": None,
        "fakes_per_step": 64,
        "ema": NO_AVERAGE,
        "data": {"path": path},
    }
    return common | values


def _cnn(name: str, title: str, data: str, path: str, resolution: int) -> Base:
    return Base(
        name=f"base/{name}",
        title=title,
        source="sections 4 and 4.1, Table 3: standard CNN, 100,000 generator updates, standard loss; batch of 64 as in "
        "train.py of pfnet-research/chainer-gan-lib, for the paper does not give one",
        data=data,
        values=cnn_values(path, resolution, 100_000, loss={"kind": "non_saturating"}),
    )


CNN_CIFAR10 = _cnn("cnn_cifar10", "Standard CNN on CIFAR-10, no labels", CIFAR10, "data/cifar10-32", 32)
CNN_STL10 = _cnn("cnn_stl10", "Standard CNN on STL-10 at 48 px, no labels", STL10, "data/stl10-48", 48)
CNNS = {"cifar10": CNN_CIFAR10, "stl10": CNN_STL10}


def _resnet(name: str, title: str, data: str, path: str, resolution: int) -> Base:
    return Base(
        name=f"base/{name}",
        title=title,
        source="appendix B.2, Tables 4 and 5: Adam 0.0002, 0, 0.9, five D updates; 100,000 generator updates (section "
        "4.1) with Gulrajani et al.'s linear decay from the start",
        data=data,
        values={
            "resolution": resolution,
            "num_classes": 0,
            "discriminator": {"head": "unconditional"},
            "steps": 100_000,
            "decay_from": 0,
            "ema": NO_AVERAGE,
            "data": {"path": path},
        },
    )


RESNET_CIFAR10 = _resnet("resnet_cifar10", "ResNet on CIFAR-10, no labels, hinge loss", CIFAR10, "data/cifar10-32", 32)
RESNET_STL10 = _resnet("resnet_stl10", "ResNet on STL-10 at 48 px, hinge loss", STL10, "data/stl10-48", 48)
RESNETS = {"cifar10": RESNET_CIFAR10, "stl10": RESNET_STL10}

_GULRAJANI: Values = merged(
    RESNET_CIFAR10.values,
    {"generator": {"channels": 128}, "discriminator": {"pool": "mean", "score_bias": True}},
    METHODS["wgan_gp"].values,
)
_GULRAJANI_SOURCE = "appendix E.1: the ResNet of gan_cifar_resnet.py of igul222/improved_wgan_training"
WGAN_GP_RESNET = Base(
    name="base/wgan_gp_resnet",
    title="WGAN-GP with Gulrajani et al.'s ResNet on CIFAR-10, no labels",
    source=_GULRAJANI_SOURCE,
    data=CIFAR10,
    values=_GULRAJANI,
)
AC_WGAN_GP_RESNET = Base(
    name="base/ac_wgan_gp_resnet",
    title="AC-WGAN-GP with Gulrajani et al.'s ResNet on CIFAR-10, with labels",
    source=f"{_GULRAJANI_SOURCE}, ACGAN_SCALE 1 and ACGAN_SCALE_G 0.1",
    data=CIFAR10,
    values=merged(_GULRAJANI, {"num_classes": 10, "discriminator": {"head": "auxiliary_classifier"}}),
)


def _imagenet(name: str, title: str, **values: Any) -> Base:
    return Base(
        name=f"base/{name}",
        title=title,
        source="section 4.2, appendix B.3, Table 6; batch sizes of the official code",
        data=IMAGENET,
        values={**values, "ema": NO_AVERAGE, "data": {"path": "data/imagenet-128"}},
    )


IMAGENET_CONCAT = _imagenet(
    "imagenet_concat", "Conditional GAN on ImageNet 128 px, label concatenated", discriminator={"head": "concat"}
)
IMAGENET_UNCONDITIONAL = _imagenet(
    "imagenet_unconditional",
    "GAN on ImageNet 128 px, no labels",
    num_classes=0,
    discriminator={"head": "unconditional"},
)
IMAGENET_PROJECTION = _imagenet("imagenet_projection", "Conditional GAN on ImageNet 128 px, projection head")
