"""What the rows of Miyato et al. 2018 share: networks, settings A to F, and methods."""

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

# Section 4.1. The standard loss (equation 15 with the alternate generator cost) for all but WGAN-GP.
METHODS: dict[str, tuple[str, Values]] = {
    "weight_clipping": ("Weight clipping", {"constraint": {"kind": "none", "weight_clip": 0.01}}),
    "gan_gp": ("GAN-GP", {"constraint": {"kind": "none", "gradient_penalty": 10.0}}),
    "wgan_gp": (
        "WGAN-GP",
        {"loss": {"kind": "wasserstein"}, "constraint": {"kind": "none", "gradient_penalty": 10.0}},
    ),
    "batch_norm": ("Batch Norm.", {"constraint": {"kind": "none", "features": "batch"}}),
    "layer_norm": ("Layer Norm.", {"constraint": {"kind": "none", "features": "layer"}}),
    "weight_norm": ("Weight Norm.", {"constraint": {"kind": "weight"}}),
    "orthonormal": (
        "Orthonormal",
        {"constraint": {"kind": "none", "init": "orthonormal", "orthonormal_penalty": 1.0}},
    ),
    "spectral_norm": ("(ours) SN-GANs", {}),
}
OPEN_ORTHONORMAL = "The weight of the orthonormal term is not given; equation 14 is taken as it stands (1)."
HINGE: Values = {"loss": {"kind": "hinge"}}
PLAIN: Values = {"constraint": {"kind": "none"}}


def _cnn(name: str, title: str, data: str, path: str, resolution: int) -> Base:
    return Base(
        name=f"base/{name}",
        title=title,
        source="sections 4 and 4.1, Table 3: standard CNN, 100,000 generator updates, standard loss; batch of 64 as in "
        "train.py of pfnet-research/chainer-gan-lib, for the paper does not give one",
        data=data,
        values={
            "resolution": resolution,
            "num_classes": 0,
            "architecture": "cnn",
            "discriminator": {"head": "unconditional"},
            "loss": {"kind": "non_saturating"},
            "steps": 100_000,
            "decay_from": None,
            "fakes_per_step": 64,
            "ema": NO_AVERAGE,
            "data": {"path": path},
        },
    )


CNN_CIFAR10 = _cnn("cnn_cifar10", "Standard CNN on CIFAR-10, no labels", CIFAR10, "data/cifar10-32", 32)
CNN_STL10 = _cnn("cnn_stl10", "Standard CNN on STL-10 at 48 px, no labels", STL10, "data/stl10-48", 48)
CNNS = {"cifar10": CNN_CIFAR10, "stl10": CNN_STL10}


def _resnet(name: str, title: str, data: str, path: str, resolution: int, **values: object) -> Base:
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
            **values,
        },
    )


RESNET_CIFAR10 = _resnet("resnet_cifar10", "ResNet on CIFAR-10, no labels, hinge loss", CIFAR10, "data/cifar10-32", 32)
RESNET_STL10 = _resnet("resnet_stl10", "ResNet on STL-10 at 48 px, hinge loss", STL10, "data/stl10-48", 48)
RESNETS = {"cifar10": RESNET_CIFAR10, "stl10": RESNET_STL10}

GULRAJANI: Values = {
    "generator": {"channels": 128},
    "discriminator": {"pool": "mean", "score_bias": True},
    "loss": {"kind": "wasserstein"},
    "constraint": {"kind": "none", "gradient_penalty": 10.0},
}
_GULRAJANI_SOURCE = "appendix E.1: the ResNet of gan_cifar_resnet.py of igul222/improved_wgan_training"
WGAN_GP_RESNET = Base(
    name="base/wgan_gp_resnet",
    title="WGAN-GP with Gulrajani et al.'s ResNet on CIFAR-10, no labels",
    source=_GULRAJANI_SOURCE,
    data=CIFAR10,
    values=merged(RESNET_CIFAR10.values, GULRAJANI),
)
AC_WGAN_GP_RESNET = Base(
    name="base/ac_wgan_gp_resnet",
    title="AC-WGAN-GP with Gulrajani et al.'s ResNet on CIFAR-10, with labels",
    source=f"{_GULRAJANI_SOURCE}, ACGAN_SCALE 1 and ACGAN_SCALE_G 0.1",
    data=CIFAR10,
    values=merged(
        RESNET_CIFAR10.values, GULRAJANI, {"num_classes": 10, "discriminator": {"head": "auxiliary_classifier"}}
    ),
)


def _imagenet(name: str, title: str, **values: object) -> Base:
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


def scores(inception_score: str, fid: str) -> dict[str, str]:
    """Return a row's two reported numbers."""
    return {"inception_score": inception_score, "fid": fid}
