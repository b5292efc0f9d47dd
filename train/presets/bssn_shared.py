"""What the rows of Lin et al. 2021 share: networks, data, and how SN varies."""

from train.presets.sngan_shared import CIFAR10, CNN, IMAGENET, NO_LABELS, STL10, WASSERSTEIN
from train.presets.tables import NO_AVERAGE, Base, Dataset, adam, constraint

CELEBA = Dataset("--source torchvision:CelebA --split all --download --resolution 64", "data/celeba-64", 64)  # gdown
_MNIST = Dataset("--source torchvision:MNIST --download --resolution 28", "data/mnist-28", 28)

# In gan.py of fjxmlzn/BSN the passes read u and an operation of its own moves it after each update of D.
MOVES_ONCE = constraint(power_iterations_at="update")
_MOVES = "u moves once a D update as in gan.py of fjxmlzn/BSN"


def _cnn(name: str, dataset: Dataset, steps: int) -> Base:
    return Base(
        f"bssn/base/cnn_{name}",
        f"Standard CNN, {name} at {dataset.resolution} px, hinge loss",
        f"Tables 2 and 3, appendices P to R; batch of 64, Adam 0.0001, 0.5, 0.999, one D update; {_MOVES}",
        dataset,
        CNN | MOVES_ONCE | adam(0.0001, 0.5, 0.999) | {"steps": steps},
    )


CNN_CIFAR10 = _cnn("cifar10", CIFAR10, 400_000)
CNN_STL10 = _cnn("stl10", STL10, 800_000)
CNNS = {"cifar10": CNN_CIFAR10, "stl10": CNN_STL10, "celeba": _cnn("celeba", CELEBA, 400_000)}
RESNET_IMAGENET = Base(
    "bssn/base/resnet_imagenet",
    "ResNet on ImageNet 128 px without labels, hinge loss",
    "Tables 8 to 13, appendix S; rates 0.0002 as in config.py of fjxmlzn/BSN, where the appendix prints 0.002; "
    f"{_MOVES}; images under 256 px a side are left out as for Miyato et al., where appendix H.1 keeps all 1,281,167",
    IMAGENET,
    {
        **NO_LABELS,
        "discriminator.hidden": "output",
        "discriminator.skip": "always",
        **MOVES_ONCE,
        "steps": 500_000,
        "decay_from": None,
        "batch_total": 16,
        "fakes_per_step": 32,
        **NO_AVERAGE,
    },
)
MNIST = Base(
    "bssn/base/mnist",
    "MNIST pair, Wasserstein loss",
    "Tables 4 and 5, appendix J.1; 100 epochs of 937 batches",
    _MNIST,
    {
        **CNN,
        "architecture": "mnist",
        "generator.latent_dim": 100,
        "generator.latent": "uniform",
        **WASSERSTEIN,
        **adam(0.001, 0.5, 0.999),
        "steps": 93_700,
    },
)


def sn(estimate: str, scale: float = 1.0) -> dict[str, object]:
    """Return how SN estimates the spectral norm, and by what it multiplies the normalised weight."""
    return constraint(estimate=estimate, scale=scale)
