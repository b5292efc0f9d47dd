"""Lin et al. 2021: networks, data and how SN varies; Tables 1, 6 and 7, scores of SN and BSN, scaled and with gamma."""

from train.presets.sngan import CIFAR10, CNN, IMAGENET, NO_AVERAGE, NO_LABELS, STL10, WASSERSTEIN
from train.presets.tables import NOT_TRAINED, Base, Dataset, Method, Row, Table, Values, adam, constraint, row

# Half the side by OpenCV's bilinear filter in dataset_preprocess/ of fjxmlzn/BSN, which at that ratio is a 2x2 mean.
_HALVED = "--filter box"
CELEBA = Dataset(  # gdown
    f"--source torchvision:CelebA --split all --download --resolution 64 {_HALVED}", "data/celeba-64-box", 64
)
_STL10 = Dataset(f"{STL10.prepare} {_HALVED}", "data/stl10-48-box", 48)
_MNIST = Dataset("--source torchvision:MNIST --download --resolution 28", "data/mnist-28", 28)

# gan/ of fjxmlzn/BSN, in all of its folders. The passes read u and an operation of its own moves it after each update
# of D (gan.py, sn.py); batch norms have an eps of 1e-5 (op.py); images are stretched to [-1, 1] (load_data.py).
_CODE: Values = {
    **constraint(power_iterations_at="update"),
    "generator.norm_eps": 1e-5,
    "data.dequantise": False,
}
# op.py of its CNNs: D's convolutions start from a normal distribution cut at two deviations.
_CNN_CODE: Values = _CODE | {"discriminator.conv_init": "truncated"}
_FOLLOWED = (
    "as in gan/ of fjxmlzn/BSN u moves once a D update, batch norms have an eps of 1e-5 and real images no noise; "
    "there, and not here, the gradient of sigma runs through the power iteration too, which is the same once u has "
    "settled, real images are drawn with replacement, and a step begins with D's updates"
)
_CNN_FOLLOWED = (
    f"{_FOLLOWED} and gives G the latents of the last one; as there D's convolutions start from a truncated normal "
    "distribution"
)


def _cnn(name: str, dataset: Dataset, steps: int) -> Base:
    return Base(
        f"bssn/base/cnn_{name}",
        f"Standard CNN, {name} at {dataset.resolution} px, hinge loss",
        f"Tables 2 and 3, appendices P to R; batch of 64, Adam 0.0001, 0.5, 0.999, one D update; {_CNN_FOLLOWED}, "
        "and the first batch norm is per unit",
        dataset,
        CNN | _CNN_CODE | adam(0.0001, 0.5, 0.999) | {"steps": steps},
    )


CNN_CIFAR10 = _cnn("cifar10", CIFAR10, 400_000)
CNN_STL10 = _cnn("stl10", _STL10, 800_000)
CNNS = {"cifar10": CNN_CIFAR10, "stl10": CNN_STL10, "celeba": _cnn("celeba", CELEBA, 400_000)}
RESNET_IMAGENET = Base(
    "bssn/base/resnet_imagenet",
    "ResNet on ImageNet 128 px without labels, hinge loss",
    "Tables 8 to 13, appendix S; rates 0.0002 as in config.py of fjxmlzn/BSN, where the appendix prints 0.002; "
    f"{_FOLLOWED}, and G's running statistics move in its own updates alone; images under 256 px a side are left out "
    "as for Miyato et al., where appendix H.1 keeps all 1,281,167, and reducing averages, which its OpenCV does not",
    IMAGENET,
    {
        **NO_LABELS,
        "discriminator.hidden": "output",
        "discriminator.skip": "always",
        **_CODE,
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
    "Tables 4 and 5, appendix J.1; 100 epochs of 937 batches. Its code is not published; what the tables leave open is "
    f"taken from that of the CNNs: {_CNN_FOLLOWED}. The first batch norm is per channel",
    _MNIST,
    {
        **CNN,
        **_CNN_CODE,
        "architecture": "mnist",
        "generator.first_norm": "channel",
        "generator.latent_dim": 100,
        "generator.latent": "uniform",
        **WASSERSTEIN,
        **adam(0.001, 0.5, 0.999),
        "steps": 93_700,
    },
)


def sn(estimate: str, scale: float = 1.0) -> Values:
    """Return how SN estimates the spectral norm, and by what it multiplies the normalised weight."""
    return constraint(estimate=estimate, scale=scale)


COLUMNS = (
    *(("cifar10", "IS"), ("cifar10", "FID"), ("stl10", "IS"), ("stl10", "FID"), ("celeba", "FID")),
    *(("imagenet", "IS"), ("imagenet", "FID")),  # not in Table 6
)
_TABLE_1 = {
    "real": ("11.26", "9.70", "26.70", "10.17", "4.44", "197.37", "15.62"),
    "sn": ("7.12+-0.07", "31.43+-0.90", "9.05+-0.05", "44.35+-0.54", "9.43+-0.09", "12.84+-0.33", "75.06+-2.38"),
    "ssn": ("7.38+-0.06", "29.31+-0.23", "9.28+-0.03", "43.52+-0.26", "8.50+-0.20", "12.84+-0.33", "73.21+-1.92"),
    "bsn": ("7.54+-0.04", "26.94+-0.58", "9.25+-0.01", "42.98+-0.54", "9.05+-0.13", "1.77+-0.13", "265.20+-19.01"),
    "bssn": ("7.54+-0.04", "26.94+-0.58", "9.25+-0.01", "42.90+-0.17", "9.05+-0.13", "13.23+-0.16", "69.04+-1.46"),
}
_TABLE_6 = {  # gamma, method
    ("same_gamma_", "sn"): ("6.46+-0.06", "42.35+-0.74", "8.86+-0.03", "54.61+-0.51", "7.74+-0.11"),
    ("same_gamma_", "bsn"): ("6.69+-0.05", "39.62+-0.40", "8.76+-0.03", "55.04+-0.48", "7.83+-0.09"),
    ("diff_gamma_", "sn"): ("6.53+-0.01", "41.88+-0.50", "8.79+-0.03", "56.76+-0.44", "7.54+-0.08"),
    ("diff_gamma_", "bsn"): ("6.72+-0.05", "38.15+-0.72", "8.80+-0.03", "53.99+-0.33", "7.67+-0.04"),
    ("", "sn"): ("7.22+-0.09", "31.43+-0.90", "9.16+-0.03", "42.89+-0.54", "9.09+-0.32"),
    ("", "bsn"): ("7.58+-0.04", "26.62+-0.21", "9.25+-0.01", "42.98+-0.54", "8.54+-0.20"),
}
# Table 7, in its order.
SETTINGS = {
    "1": adam(0.0001, 0.5, 0.9, n_dis=5) | {"steps": 400_000},
    "2": adam(0.0001, 0.5, 0.999),
    "3": adam(0.0002, 0.5, 0.999),
    "4": adam(0.0001, 0.5, 0.999) | {"optim_d.lr": 0.0002},
    "5": adam(0.0002, 0.5, 0.999) | {"optim_d.lr": 0.0001},
}

# Scales of SN and of BSN that were tried: appendices P.1, Q.1 and R.1.
_TO_4 = (0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6, 3.8, 4.0)
_TO_10 = (*_TO_4, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 9.0, 10.0)
_FEW = (0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6)
_FROM_1 = (1.0, 1.2, 1.4, 1.6)
SCALES = {
    "cifar10": {"sn": _TO_10, "bsn": _TO_4},
    "stl10": {"sn": _FEW, "bsn": _FEW},
    "celeba": {"sn": _FEW, "bsn": _FEW},
    "imagenet": {"sn": _FROM_1, "bsn": _FROM_1},
}
ESTIMATES = {"sn": "matrix", "bsn": "bidirectional"}


def _scores(line: tuple[str, ...], dataset: str, remark: str = "") -> dict[str, str]:
    """Return a data set's numbers in a line of Table 1 or 6; a remark follows each."""
    cells = zip(COLUMNS, line, strict=False)
    return {metric: number + remark for (column, metric), number in cells if column == dataset}


def _real(*datasets: str) -> list[Row]:
    return [
        row(f"{dataset}_real", f"Real data, {dataset}", absent=NOT_TRAINED, **_scores(_TABLE_1["real"], dataset))
        for dataset in datasets
    ]


def _scaled(dataset: str, method: str, scale: float) -> Row:
    at_one = scale == 1
    line, remark = (method, "") if at_one else ({"sn": "ssn", "bsn": "bssn"}[method], " (best scale)")
    note = (
        "Appendices P.1, Q.1 and R.1 name the first setting of Table 7; config.py of fjxmlzn/BSN sweeps the scale at "
        "the second, which is taken."
    )
    return row(
        f"{dataset}_{method}_{scale:g}",
        f"{line.upper()}, scale {scale:g}, {dataset}",
        RESNET_IMAGENET if dataset == "imagenet" else CNNS[dataset],
        sn(ESTIMATES[method], scale),
        note="" if dataset == "imagenet" else note,
        **_scores(_TABLE_1[line], dataset, remark),
    )


# SN and BSN at every scale that was tried; the table's SSN and BSSN are the best of them, for each metric.
TABLE_1 = Table(
    "bssn/table1",
    "Table 1: SN, SSN, BSN and BSSN; Figures 65 and 66; the SSN half of Figure 8",
    [
        *_real(*SCALES),
        *(
            _scaled(dataset, method, scale)
            for dataset, of_methods in SCALES.items()
            for method, scales in of_methods.items()
            for scale in scales
        ),
    ],
    also=("figure65", "figure66"),
)


def _gamma(name: str, label: str, gamma: str) -> Method:
    """Return SN with gamma as {same,diff}_gamma-CNN/gan of fjxmlzn/BSN have it (gan.py, network.py, op.py)."""
    settings = constraint(gamma=gamma, gamma_start="one", gamma_biases=True, gradient_penalty=10.0)
    note = (
        f"Appendix O: gradient penalty 10. {name}_gamma-CNN/gan of fjxmlzn/BSN is followed: the Wasserstein loss, "
        "where appendices P.1, Q.1 and R.1 name the hinge loss for all; gamma starts at 1 and multiplies biases too. "
        "Its 1e-8 under the root of a gradient's length is left out."
    )
    return Method(label, WASSERSTEIN | settings, note)


GAMMAS = {
    "": Method("", {}),
    "same_gamma_": _gamma("same", " (same gamma)", "shared"),
    "diff_gamma_": _gamma("diff", " (diff. gamma)", "per_layer"),
}
_400K = Method(
    "",
    {"steps": 400_000},
    "400,000 updates: appendix Q.1 gives 800,000 to SN and BSN without gamma alone, where config.py of fjxmlzn/BSN "
    "gives them to all with one D update.",
)


def _at_setting(dataset: str, gamma: str, method: str, setting: str) -> Row:
    return row(
        f"{dataset}_{method}_{gamma}{setting}",
        f"{method.upper()}{GAMMAS[gamma].label}, row {setting} of Table 7, {dataset}",
        CNNS[dataset],
        SETTINGS[setting],
        sn(ESTIMATES[method]),
        GAMMAS[gamma],
        _400K if gamma and dataset == "stl10" and setting != "1" else {},
        **_scores(_TABLE_6[gamma, method], dataset, " (best row)"),
    )


TABLE_6 = Table(
    "bssn/table6",
    "Tables 6 and 7, Figures 24 to 64: SN and BSN without, with one, and with a gamma a layer",
    [
        *_real(*CNNS),
        *(
            _at_setting(dataset, gamma, method, setting)
            for dataset in CNNS
            for gamma, method in _TABLE_6
            for setting in SETTINGS
        ),
    ],
    also=("table7", "figure9", *(f"figure{number}" for number in range(24, 65))),
)
