"""The figures of Lin et al. 2021 about gradients that vanish or explode."""

from train.presets.bssn_shared import CNN_CIFAR10, CNN_STL10, IS, MNIST_BASE, sn
from train.presets.tables import LIN, Row, Table, Values, adam, both, merged


def vanishing() -> list[Table]:
    """Section 4 and appendix L: where gradients vanish, CIFAR-10."""
    four = [
        ("sn_w", "SN_w", sn("matrix", 1.0)),
        ("sn_conv", "SN_Conv", sn("operator", 1.0)),
        ("sn_conv_1.75", "SN_Conv, scale 1.75", sn("operator", 1.75)),
        ("no_sn", "without SN (appendix L.2)", {"constraint": {"kind": "none"}}),
    ]
    six = [
        (f"{name}_{scale:g}", f"{label}, scale {scale:g}", sn(estimate, scale))
        for name, label, estimate in (("sn_w", "SN_w", "matrix"), ("sn_conv", "SN_Conv", "operator"))
        for scale in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
    ]
    eight = [
        (
            f"lecun_{scale:g}",
            f"LeCun initialisation, scale {scale:g}",
            {"constraint": {"kind": "none", "init": "lecun"} | ({"init_scale": scale} if scale != 1 else {})},
        )
        for scale in (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 2.0)
    ]
    metrics = {"figure4": (IS, "gradient_norms"), "figure6": (IS, "gradient_norms"), "figure8": (IS,)}
    titles = {
        "figure4": (
            "Figures 4, 5, 18 and 19: SN_w, SN_Conv and its scale",
            four,
            ("figure5", "figure18", "figure19"),
            "",
        ),
        "figure6": (
            "Figure 6: scaled SN_w and SN_Conv",
            six,
            (),
            "The axis is not printed in the text.",
        ),
        "figure8": (
            "Figure 8: scaled LeCun initialisation (its SSN half is bssn/table1)",
            eight,
            (),
            "The axis is not printed; good scales are near 0.2 and 1.2. The paper counts the best score during "
            "training (M.1); the score measured is the one at the end.",
        ),
    }
    return [
        Table(
            paper="bssn",
            citation=LIN,
            name=name,
            title=title,
            metrics=metrics[name],
            protocol="bsn",
            rows=tuple(
                Row(
                    name=row,
                    label=label,
                    base=CNN_CIFAR10,
                    values=values,
                    reported=dict.fromkeys(metrics[name], ""),
                    note=note,
                )
                for row, label, values in rows
            ),
            also=also,
        )
        for name, (title, rows, also, note) in titles.items()
    ]


def ratios() -> list[Table]:
    """Section 3.1 and appendix K: gradient ratios against inverse ratios of spectral norms, random factors."""
    runs = {
        "figure3": ("Figure 3: ratios of gradient norms, MNIST", MNIST_BASE, 1.0),
        "figure14": ("Figure 14: ratios of gradient norms, CIFAR-10", CNN_CIFAR10, 1.75),
        "figure15": ("Figure 15: ratios of gradient norms, STL-10", CNN_STL10, 1.75),
    }
    note = "The paper does not say how the factors were drawn: log-normal with 0.5 here, three draws."
    return [
        Table(
            paper="bssn",
            citation=LIN,
            name=name,
            title=title,
            metrics=("gradient_ratios",),
            protocol="bsn",
            rows=tuple(
                Row(
                    name=f"draw_{seed}",
                    label=f"SN_Conv, random factors, draw {seed}",
                    base=base,
                    values=merged(sn("operator", scale), {"constraint": {"scale_spread": 0.5, "scale_seed": seed}}),
                    reported={"gradient_ratios": ""},
                    note=note,
                )
                for seed in (1, 2, 3)
            ),
        )
        for name, (title, base, scale) in runs.items()
    ]


def gradients() -> list[Table]:
    """Figures whose curves are gradient norms of D, and the runs of appendix I."""
    penalty: Values = {"constraint": {"kind": "none", "gradient_penalty": 10.0}}
    strict: Values = {"constraint": {"estimate": "operator"}}
    wasserstein: Values = {"loss": {"kind": "wasserstein"}}
    high = both(adam(0.001, 0.5, 0.999))
    stable = {"optim_d": {"lr": 0.0002}}
    vanishing = merged(
        high, {"constraint": {"kind": "none", "gradient_penalty": 50.0}, "discriminator": {"slope": 0.0}}
    )
    start: Values = {"steps": 10_000}  # where Figure 13 looks
    runs = {
        "figure2": (
            "Figures 2 and 12: gradient norms of D's layers, MNIST",
            ("figure12",),
            [("sn", "with SN", MNIST_BASE, strict), ("no_sn", "without SN", MNIST_BASE, penalty)],
        ),
        "figure13": (
            "Figure 13: gradient norms of D's layers at iteration 10,000, CIFAR-10",
            (),
            [
                ("sn", "with SN", CNN_CIFAR10, merged(wasserstein, strict, start)),
                ("no_sn", "without SN", CNN_CIFAR10, merged(wasserstein, penalty, start)),
            ],
        ),
        "figure10": (
            "Figures 10 and 11: WGAN-GP that is stable, explodes or vanishes, CIFAR-10",
            ("figure11",),
            [
                ("stable", "stable", CNN_CIFAR10, merged(wasserstein, penalty, stable)),
                ("explosion", "gradient explosion", CNN_CIFAR10, merged(wasserstein, penalty, high)),
                ("vanishing", "gradient vanishing", CNN_CIFAR10, merged(wasserstein, vanishing)),
            ],
        ),
    }
    return [
        Table(
            paper="bssn",
            citation=LIN,
            name=name,
            title=title,
            metrics=(IS,) if name == "figure10" else ("gradient_norms",),
            protocol="bsn",
            rows=tuple(
                Row(
                    name=row,
                    label=label,
                    base=base,
                    values=values,
                    reported={IS: ""} if name == "figure10" else {"gradient_norms": ""},
                    note="Figure 12 looks at epoch 50; the norms measured are those at the end." * (name == "figure2"),
                )
                for row, label, base, values in rows
            ),
            also=also,
        )
        for name, (title, also, rows) in runs.items()
    ]
