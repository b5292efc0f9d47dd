"""The figures of Lin et al. 2021 about the layers of D: gradients, variances and norms of their weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from train.reproduction.figures.registry import PaperFigure
from train.reproduction.needs import Need

IMAGES = "64 real images"  # `measures.GRADIENT_IMAGES`
_CHECKPOINTS: tuple[Need, ...] = ("checkpoints",)
_OVER = "geometric mean over seeds"
_BY_LAYER = f"norm of the gradient of D's mean score on {IMAGES} by each layer's weight as it acts, biases left out"
_LOGGED = "the norm that each update of D logs: of its loss with penalties, by all its parameters; a line a seed"
_RATIOS = f"norms of the gradients of D's score by layer, means over {IMAGES} one by one, at each kept checkpoint; the "
_RATIOS += "spectral norm is the factor that the constraint sets"
_VARIANCE = f"variance of the entries of each layer's weight as it acts, normalised and scaled; {_OVER}"
_OPERATOR = "power iteration in float64 to convergence over the exact norm of the matrix of outputs x rest; the bounds "
_OPERATOR += f"are those of Tsuzuku et al. 2018, Corollary 1; {_OVER}"
_PRODUCT = "ln of the product of the layers' variances as they act"
SN = ["sn_w", "sn_conv", "sn_conv_1.75"]


def _figure(
    number: int,
    what: str,
    rows: Mapping[str, Sequence[str]],
    kind: str,
    draws: str,
    measured_by: str,
    needs: tuple[Need, ...] = _CHECKPOINTS,
    **options: Any,
) -> PaperFigure:
    return PaperFigure(
        key=f"bssn/figure{number}",
        title=f"Figure {number}: {what}",
        rows=rows,
        needs=needs,
        kind=kind,
        options=options,
        draws=draws,
        measured_by=measured_by,
    )


def _by_layer(number: int, when: str, dataset: str, share: float, key: str) -> PaperFigure:
    return _figure(
        number,
        f"gradient norms of D's layers at {when}, {dataset}",
        {key: ["sn", "no_sn"]},
        "gradients_by_layer",
        "the gradient norm over the layers, a line with and one without SN",
        f"{_BY_LAYER}, at the kept checkpoint nearest to {share:.0%} of the updates of G; {_OVER}",
        share=share,
    )


def _ratios(number: int, dataset: str) -> PaperFigure:
    return _figure(
        number,
        f"ratio of gradient norms against the inverse ratio of spectral norms, {dataset}",
        {f"bssn/figure{number}": ["*"]},
        "gradient_ratios",
        "a point a layer over the first, kept checkpoint and draw of factors; on the diagonal equation 2 holds",
        _RATIOS,
    )


def _of_the_loss(number: int, what: str, key: str, rows: list[str]) -> PaperFigure:
    return _figure(
        number, f"gradient norm of {what}", {key: rows}, "loss_gradients", "a line a run over updates", _LOGGED, ()
    )


def _operator(number: int, what: str, row: str) -> PaperFigure:
    return _figure(
        number,
        f"norm as an operator over norm of the matrix, {what}, CIFAR-10",
        {"bssn/figure4": [row]},
        "norm_ratios",
        "a panel a convolution of D: the ratio over updates of G, and its lower and upper bound",
        _OPERATOR,
    )


def _variances(number: int, what: str, row: str) -> PaperFigure:
    return _figure(
        number,
        f"variances of D's weights during training {what}, CIFAR-10",
        {"bssn/figure4": [row]},
        "variance_curves",
        "a line a layer over updates of G",
        _VARIANCE,
    )


FIGURES = (
    _figure(
        2,
        "gradient norms of D's layers during training, MNIST",
        {"bssn/figure2": ["sn", "no_sn"]},
        "gradient_curves",
        "a panel with and one without SN, a line a layer over updates of G",
        f"{_BY_LAYER}, at each kept checkpoint; {_OVER}",
    ),
    _ratios(3, "MNIST"),
    _of_the_loss(5, "D's loss, SN_w, SN_Conv and SN_Conv at scale 1.75, CIFAR-10", "bssn/figure4", SN),
    _figure(
        7,
        "variances of D's weights under SN during training, with the bound of equation 3, CIFAR-10",
        {"bssn/figure4": ["sn_w"]},
        "variances_with_bounds",
        "a panel a layer: the variance over updates of G, and its upper bound, 1 / max(m, n)",
        _VARIANCE,
    ),
    _of_the_loss(11, "D's loss, WGAN-GP that is stable, explodes or vanishes, CIFAR-10", "bssn/figure10", ["*"]),
    _by_layer(12, "epoch 50 of 100", "MNIST", 0.5, "bssn/figure2"),
    _by_layer(13, "iteration 10,000, where these runs end", "CIFAR-10", 1.0, "bssn/figure13"),
    _ratios(14, "CIFAR-10"),
    _ratios(15, "STL-10"),
    _variances(16, "without SN", "no_sn"),
    _variances(17, "with SN", "sn_w"),
    _of_the_loss(18, "D's loss with and without SN, CIFAR-10", "bssn/figure4", ["sn_w", "no_sn"]),
    _operator(20, "SN_w", "sn_w"),
    _operator(21, "SN_Conv", "sn_conv"),
    _figure(
        22,
        "variances of D's weights under scaled SN, CIFAR-10",
        {"bssn/figure6": ["*"]},
        "variance_against_scale",
        "the product of the layers' variances over the scale, a line for SN_w and one for SN_Conv",
        f"{_PRODUCT}, at the newest checkpoint; mean over seeds",
        (),
    ),
    _figure(
        23,
        "best inception score against variances, scaled SN and scaled LeCun initialisation, CIFAR-10",
        {"bssn/table1": ["cifar10_sn_[0-9]*"], "bssn/figure8": ["*"]},
        "score_against_variance",
        "a point a run, its scale beside it, one colour for SN and one for LeCun initialisation",
        f"best of the scores at intervals; {_PRODUCT}, at the kept checkpoint nearest to that score",
        ("scores", "checkpoints"),
        metric="inception_score",
    ),
)
