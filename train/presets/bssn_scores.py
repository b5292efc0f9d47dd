"""Tables 1, 6 and 7 of Lin et al. 2021: scores of SN and BSN, scaled and with gamma."""

from train.presets.bssn_shared import CNNS, FID, IS, RESNET_IMAGENET, sn
from train.presets.tables import LIN, Row, Table, Values, adam, both, merged

# Appendices P.1, Q.1 and R.1.
SSN_CIFAR10 = (0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6, 3.8, 4.0)
SSN_CIFAR10 += (4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 9.0, 10.0)
BSSN_CIFAR10 = SSN_CIFAR10[: SSN_CIFAR10.index(4.0) + 1]
FEW_SCALES = (0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6)
IMAGENET_SCALES = (1.0, 1.2, 1.4, 1.6)
_TABLE_1: dict[str, dict[str, dict[str, str]]] = {
    "cifar10": {
        "sn": {IS: "7.12+-0.07", FID: "31.43+-0.90"},
        "ssn": {IS: "7.38+-0.06", FID: "29.31+-0.23"},
        "bsn": {IS: "7.54+-0.04", FID: "26.94+-0.58"},
        "bssn": {IS: "7.54+-0.04", FID: "26.94+-0.58"},
    },
    "stl10": {
        "sn": {IS: "9.05+-0.05", FID: "44.35+-0.54"},
        "ssn": {IS: "9.28+-0.03", FID: "43.52+-0.26"},
        "bsn": {IS: "9.25+-0.01", FID: "42.98+-0.54"},
        "bssn": {IS: "9.25+-0.01", FID: "42.90+-0.17"},
    },
    "celeba": {
        "sn": {FID: "9.43+-0.09"},
        "ssn": {FID: "8.50+-0.20"},
        "bsn": {FID: "9.05+-0.13"},
        "bssn": {FID: "9.05+-0.13"},
    },
    "imagenet": {
        "sn": {IS: "12.84+-0.33", FID: "75.06+-2.38"},
        "ssn": {IS: "12.84+-0.33", FID: "73.21+-1.92"},
        "bsn": {IS: "1.77+-0.13", FID: "265.20+-19.01"},
        "bssn": {IS: "13.23+-0.16", FID: "69.04+-1.46"},
    },
}

_REAL = {
    "cifar10": {IS: "11.26", FID: "9.70"},
    "stl10": {IS: "26.70", FID: "10.17"},
    "celeba": {FID: "4.44"},
    "imagenet": {IS: "197.37", FID: "15.62"},
}


def _real(*datasets: str) -> list[Row]:
    """Return the rows of the tables' first line."""
    return [
        Row(name=f"{dataset}_real", label=f"Real data, {dataset}", reported=_REAL[dataset], absent="nothing is trained")
        for dataset in datasets
    ]


_OPEN_SETTING = (
    "Appendices P.1, Q.1 and R.1 name the first setting of Table 7; config.py of fjxmlzn/BSN sweeps the scale at the "
    "second, which is taken."
)


def table_1() -> Table:
    """SN and BSN at every scale that was tried; the table's SSN and BSSN are the best of them, for each metric."""
    rows = _real("cifar10", "stl10", "celeba", "imagenet")
    scales = {"cifar10": (SSN_CIFAR10, BSSN_CIFAR10), "stl10": (FEW_SCALES,) * 2, "celeba": (FEW_SCALES,) * 2}
    scales["imagenet"] = (IMAGENET_SCALES,) * 2
    for dataset, (for_sn, for_bsn) in scales.items():
        base = RESNET_IMAGENET if dataset == "imagenet" else CNNS[dataset]
        for method, estimate, tried in (("sn", "matrix", for_sn), ("bsn", "bidirectional", for_bsn)):
            scaled = {"sn": "ssn", "bsn": "bssn"}[method]
            for scale in tried:
                at_one = _TABLE_1[dataset][method]
                best = {metric: f"{score} (best scale)" for metric, score in _TABLE_1[dataset][scaled].items()}
                rows.append(
                    Row(
                        name=f"{dataset}_{method}_{scale:g}",
                        label=f"{(method if scale == 1 else scaled).upper()}, scale {scale:g}, {dataset}",
                        base=base,
                        values=sn(estimate, scale),
                        reported=at_one if scale == 1 else best,
                        note=_OPEN_SETTING if dataset != "imagenet" else "",
                    )
                )
    return Table(
        paper="bssn",
        citation=LIN,
        name="table1",
        title="Table 1: SN, SSN, BSN and BSSN; Figures 65 and 66; the SSN half of Figure 8",
        metrics=(IS, FID),
        protocol="bsn",
        rows=tuple(rows),
        also=("figure65", "figure66"),
    )


# Table 7, in its order.
SETTINGS: dict[str, Values] = {
    "1": {"d_updates_per_step": 5, **both(adam(0.0001, 0.5, 0.9)), "steps": 400_000},
    "2": both(adam(0.0001, 0.5, 0.999)),
    "3": both(adam(0.0002, 0.5, 0.999)),
    "4": {"optim_g": adam(0.0001, 0.5, 0.999), "optim_d": adam(0.0002, 0.5, 0.999)},
    "5": {"optim_g": adam(0.0002, 0.5, 0.999), "optim_d": adam(0.0001, 0.5, 0.999)},
}
_TABLE_6 = {
    ("cifar10", "shared", "sn"): {IS: "6.46+-0.06", FID: "42.35+-0.74"},
    ("cifar10", "shared", "bsn"): {IS: "6.69+-0.05", FID: "39.62+-0.40"},
    ("cifar10", "per_layer", "sn"): {IS: "6.53+-0.01", FID: "41.88+-0.50"},
    ("cifar10", "per_layer", "bsn"): {IS: "6.72+-0.05", FID: "38.15+-0.72"},
    ("cifar10", "none", "sn"): {IS: "7.22+-0.09", FID: "31.43+-0.90"},
    ("cifar10", "none", "bsn"): {IS: "7.58+-0.04", FID: "26.62+-0.21"},
    ("stl10", "shared", "sn"): {IS: "8.86+-0.03", FID: "54.61+-0.51"},
    ("stl10", "shared", "bsn"): {IS: "8.76+-0.03", FID: "55.04+-0.48"},
    ("stl10", "per_layer", "sn"): {IS: "8.79+-0.03", FID: "56.76+-0.44"},
    ("stl10", "per_layer", "bsn"): {IS: "8.80+-0.03", FID: "53.99+-0.33"},
    ("stl10", "none", "sn"): {IS: "9.16+-0.03", FID: "42.89+-0.54"},
    ("stl10", "none", "bsn"): {IS: "9.25+-0.01", FID: "42.98+-0.54"},
    ("celeba", "shared", "sn"): {FID: "7.74+-0.11"},
    ("celeba", "shared", "bsn"): {FID: "7.83+-0.09"},
    ("celeba", "per_layer", "sn"): {FID: "7.54+-0.08"},
    ("celeba", "per_layer", "bsn"): {FID: "7.67+-0.04"},
    ("celeba", "none", "sn"): {FID: "9.09+-0.32"},
    ("celeba", "none", "bsn"): {FID: "8.54+-0.20"},
}
_GAMMAS = {"none": ("", ""), "shared": ("same_gamma_", " (same gamma)"), "per_layer": ("diff_gamma_", " (diff. gamma)")}


def table_6() -> Table:
    """Return Table 6, at every row of Table 7."""
    rows = _real("cifar10", "stl10", "celeba")
    for (dataset, gamma, method), scores in _TABLE_6.items():
        constraint = dict(sn("bidirectional" if method == "bsn" else "matrix", 1.0).get("constraint", {}))
        note = ""
        if gamma != "none":
            constraint |= {"gamma": gamma, "gamma_start": "one", "gradient_penalty": 10.0}
            note = (
                "Appendix O: gradient penalty 10; gamma starts at 1 as in fjxmlzn/BSN, whose gamma also scales biases."
            )
        for setting, optimisers in SETTINGS.items():
            steps: Values = {}
            if dataset == "stl10" and gamma != "none":
                steps = {"steps": 400_000}  # appendix Q.1: only SN and BSN with one D update run for 800,000
            values = merged(optimisers, steps, {"constraint": constraint} if constraint else {})
            rows.append(
                Row(
                    name=f"{dataset}_{method}_{_GAMMAS[gamma][0]}{setting}",
                    label=f"{method.upper()}{_GAMMAS[gamma][1]}, row {setting} of Table 7, {dataset}",
                    base=CNNS[dataset],
                    values=values,
                    reported={metric: f"{score} (best row)" for metric, score in scores.items()},
                    note=note,
                )
            )
    return Table(
        paper="bssn",
        citation=LIN,
        name="table6",
        title="Tables 6 and 7, Figures 24 to 60: SN and BSN without, with one, and with a gamma a layer",
        metrics=(IS, FID),
        protocol="bsn",
        rows=tuple(rows),
        also=("table7", "figure9", *(f"figure{number}" for number in range(24, 65))),
    )
