"""What the rows of Lin et al. 2021 share: networks, data, and how SN varies."""

from train.presets.sngan_shared import CIFAR10, IMAGENET, STL10, WASSERSTEIN, cnn_values
from train.presets.tables import NO_AVERAGE, Base, Values, adam, both

_CELEBA_DATA = "--source torchvision:CelebA --split all --download --resolution 64"  # needs gdown
_MNIST_DATA = "--source torchvision:MNIST --download --resolution 28"

# In gan.py of fjxmlzn/BSN the passes read u and an operation of its own moves it after each update of D.
MOVES_ONCE: Values = {"power_iterations_at": "update"}
_MOVES = "u moves once a D update as in gan.py of fjxmlzn/BSN"


def _cnn(name: str, data: str, path: str, resolution: int, steps: int) -> Base:
    return Base(
        name=f"base/{name}",
        title=f"Standard CNN, {name.removeprefix('cnn_')} at {resolution} px, hinge loss",
        source=f"Tables 2 and 3, appendices P to R; batch of 64, Adam 0.0001, 0.5, 0.999, one D update; {_MOVES}",
        data=data,
        values=cnn_values(
            path,
            resolution,
            steps,
            constraint=MOVES_ONCE,
            d_updates_per_step=1,
            **both(adam(0.0001, 0.5, 0.999)),
        ),
    )


CNN_CIFAR10 = _cnn("cnn_cifar10", CIFAR10, "data/cifar10-32", 32, 400_000)
CNN_STL10 = _cnn("cnn_stl10", STL10, "data/stl10-48", 48, 800_000)
CNN_CELEBA = _cnn("cnn_celeba", _CELEBA_DATA, "data/celeba-64", 64, 400_000)
CNNS = {"cifar10": CNN_CIFAR10, "stl10": CNN_STL10, "celeba": CNN_CELEBA}
RESNET_IMAGENET = Base(
    name="base/resnet_imagenet",
    title="ResNet on ImageNet 128 px without labels, hinge loss",
    source="Tables 8 to 13, appendix S; rates 0.0002 as in config.py of fjxmlzn/BSN, where the appendix prints 0.002; "
    f"{_MOVES}; images under 256 px a side are left out as for Miyato et al., where appendix H.1 keeps all 1,281,167",
    data=IMAGENET,
    values={
        "num_classes": 0,
        "discriminator": {"head": "unconditional", "hidden": "output", "skip": "always"},
        "constraint": MOVES_ONCE,
        "steps": 500_000,
        "decay_from": None,
        "batch_total": 16,
        "fakes_per_step": 32,
        "ema": NO_AVERAGE,
        "data": {"path": "data/imagenet-128"},
    },
)
MNIST = Base(
    name="base/mnist",
    title="MNIST pair, Wasserstein loss",
    source="Tables 4 and 5, appendix J.1; 100 epochs of 937 batches",
    data=_MNIST_DATA,
    values=cnn_values(
        "data/mnist-28",
        28,
        93_700,
        architecture="mnist",
        generator={"latent_dim": 100, "latent": "uniform"},
        **WASSERSTEIN,
        d_updates_per_step=1,
        **both(adam(0.001, 0.5, 0.999)),
    ),
)


def sn(estimate: str, scale: float = 1) -> Values:
    """Return the constraint's difference from plain SN."""
    constraint: Values = {}
    if estimate != "matrix":
        constraint["estimate"] = estimate
    if scale != 1:
        constraint["scale"] = scale
    return {"constraint": constraint} if constraint else {}
