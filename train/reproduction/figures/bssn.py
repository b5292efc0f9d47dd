"""The figures of Lin et al. 2021."""

from collections.abc import Iterator

from train.reproduction.figures.registry import OVER_SEEDS, PaperFigure

_IS, _FID = "inception_score", "fid"
_NAMES = {"cifar10": "CIFAR-10", "stl10": "STL-10", "celeba": "CelebA"}
_SCORED = {"cifar10": (_IS, _FID), "stl10": (_IS, _FID), "celeba": (_FID,)}
_SHOWN = {_IS: "inception score", _FID: "FID"}
_BY_ROW = f"the score at the end of each run; {OVER_SEEDS}"
_CURVES = f"scores of the raw generator at intervals during training; {OVER_SEEDS}"
# Lines of Table 7 in the order in which the paper draws their curves, and the first figure of each data set's.
_ORDER = {"2": "alpha_g = alpha_d = 0.0001", "4": "alpha_d = 0.0002", "5": "alpha_g = 0.0002"}
_ORDER |= {"3": "alpha_g = alpha_d = 0.0002", "1": "n_dis = 5"}
_CURVE_NUMBERS = {"cifar10": (9, *range(27, 36)), "stl10": range(41, 51), "celeba": range(56, 61)}
_BARS = {("cifar10", _IS): 24, ("stl10", _IS): 25, ("cifar10", _FID): 26, ("stl10", _FID): 40, ("celeba", _FID): 55}
_SAMPLES = {"cifar10": 36, "stl10": 51, "celeba": 61}
_SHEETS = ("sn_same_gamma_", "sn_diff_gamma_", "sn_", "bsn_")  # in the order of their figures
_LABELS = {"sn_same_gamma_": "SN (same gamma)", "sn_diff_gamma_": "SN (diff. gamma)", "sn_": "SN", "bsn_": "BSN"}
SCALES = (1.0, 1.2, 1.4, 1.6)


def _curves() -> Iterator[PaperFigure]:
    for dataset, numbers in _CURVE_NUMBERS.items():
        cases = [(setting, metric) for setting in _ORDER for metric in _SCORED[dataset]]
        for number, (setting, metric) in zip(numbers, cases, strict=True):
            yield PaperFigure(
                key=f"bssn/figure{number}",
                title=f"Figure {number}: {_SHOWN[metric]} during training, {_NAMES[dataset]}, row {setting} of Table 7 "
                f"({_ORDER[setting]})",
                rows={"bssn/table6": [f"{dataset}_sn_{setting}", f"{dataset}_bsn_{setting}"]},
                needs=("scores",),
                kind="score_curves",
                options={"shown": [(metric, "*")]},
                draws="the score over generator updates, SN and BSN",
                measured_by=_CURVES,
            )


def _bars() -> Iterator[PaperFigure]:
    for (dataset, metric), number in _BARS.items():
        yield PaperFigure(
            key=f"bssn/figure{number}",
            title=f"Figure {number}: {_SHOWN[metric]} by row of Table 7, {_NAMES[dataset]}",
            rows={"bssn/table6": [f"{dataset}_*sn_*[1-5]"]},
            kind="bars",
            options={"metric": metric, "shown": {_NAMES[dataset]: "*"}, "by": ", row "},
            draws="a group of bars for SN and BSN without, with one, and with a gamma a layer; a bar a row of Table 7",
            measured_by=_BY_ROW,
        )


def _sheets() -> Iterator[PaperFigure]:
    for dataset, first in _SAMPLES.items():
        for number, method in enumerate(_SHEETS, start=first):
            yield PaperFigure(
                key=f"bssn/figure{number}",
                title=f"Figure {number}: images of the best run of {_LABELS[method]}, {_NAMES[dataset]}",
                rows={"bssn/table6": [f"{dataset}_{method}[1-5]"]},
                kind="best_samples",
                options={"metrics": _SCORED[dataset]},
                draws="a sheet of images of the best run over rows of Table 7 and seeds, named with its scores",
                measured_by=f"the best {_SHOWN[_SCORED[dataset][0]]} at the end of a run",
            )
    cases = [(method, scale) for method in ("sn", "bsn") for scale in SCALES]
    for number, (method, scale) in enumerate(cases, start=67):
        yield PaperFigure(
            key=f"bssn/figure{number}",
            title=f"Figure {number}: images of the best run of {method.upper()} (scale {scale:g}), ImageNet",
            rows={"bssn/table1": [f"imagenet_{method}_{scale:g}"]},
            kind="best_samples",
            options={"metrics": (_IS, _FID)},
            draws="a sheet of images of the best run over seeds, named with its scores",
            measured_by="the best inception score at the end of a run",
        )


def _imagenet(number: int, metric: str) -> PaperFigure:
    return PaperFigure(
        key=f"bssn/figure{number}",
        title=f"Figure {number}: {_SHOWN[metric]} during training, ImageNet",
        rows={"bssn/table1": [f"imagenet_{method}_{scale:g}" for method in ("sn", "bsn") for scale in SCALES]},
        needs=("scores",),
        kind="score_curves",
        options={"shown": [(metric, "*")]},
        draws="the score over generator updates, SN and BSN at scales from 1 to 1.6",
        measured_by=_CURVES,
    )


def _variants(number: int, rows: list[str], what: str) -> PaperFigure:
    return PaperFigure(
        key=f"bssn/figure{number}",
        title=f"Figure {number}: inception score during training, {what}, CIFAR-10",
        rows={"bssn/figure4": rows},
        needs=("scores",),
        kind="score_curves",
        options={"shown": [(_IS, "*")]},
        draws=f"the score over generator updates: {what}",
        measured_by=_CURVES,
    )


FIGURES = (
    _variants(4, ["sn_*"], "SN_w, SN_Conv and SN_Conv at scale 1.75"),
    PaperFigure(
        key="bssn/figure6",
        title="Figure 6: inception score of scaled SN, CIFAR-10",
        rows={"bssn/figure6": ["*"]},
        kind="score_against",
        options={"metric": _IS, "by": ", scale ", "label": "scale", "spread": "error"},
        draws="the score over the scale, a line for SN_w and one for SN_Conv",
        measured_by=_BY_ROW,
    ),
    PaperFigure(
        key="bssn/figure8",
        title="Figure 8: best inception score during training against the scale, CIFAR-10",
        rows={"bssn/table1": ["cifar10_sn_[0-9]*"], "bssn/figure8": ["*"]},
        needs=("scores",),
        kind="score_against",
        options={
            "metric": _IS,
            "by": ", scale ",
            "label": "scale",
            "spread": "error",
            "during": True,
            "log": 10,
            "same": {"SN": "SSN"},
        },
        draws="the best score over the scale, a line for SSN and one for scaled LeCun initialisation",
        measured_by=f"the best of the scores at intervals during training, of each run; {OVER_SEEDS}",
    ),
    PaperFigure(
        key="bssn/figure10",
        title="Figure 10: inception score during training of WGAN-GP that is stable, explodes or vanishes, CIFAR-10",
        rows={"bssn/figure10": ["*"]},
        needs=("scores",),
        kind="score_curves",
        options={"shown": [(_IS, "*")]},
        draws="the score over generator updates, a line for each of the three",
        measured_by=_CURVES,
    ),
    _variants(19, ["sn_w", "no_sn"], "with and without SN"),
    *_bars(),
    *_curves(),
    *_sheets(),
    _imagenet(65, _IS),
    _imagenet(66, _FID),
)
