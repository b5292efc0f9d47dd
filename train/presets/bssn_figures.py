"""The figures of Lin et al. 2021 about gradients that vanish or explode."""

from train.presets.bssn import CNN_CIFAR10, CNN_STL10, MNIST, sn
from train.presets.sngan import WASSERSTEIN, WGAN_GP, no_sn
from train.presets.tables import Base, Table, Values, adam, constraint, row

# Section 4 and appendix L: where gradients vanish, CIFAR-10.
FIGURE_4 = Table(
    "bssn/figure4",
    "Figures 4, 5, 18 and 19: SN_w, SN_Conv and its scale",
    [
        row("sn_w", "SN_w", CNN_CIFAR10, sn("matrix"), IS="", gradient_norms=""),
        row("sn_conv", "SN_Conv", CNN_CIFAR10, sn("operator"), IS="", gradient_norms=""),
        row("sn_conv_1.75", "SN_Conv, scale 1.75", CNN_CIFAR10, sn("operator", 1.75), IS="", gradient_norms=""),
        row("no_sn", "without SN (appendix L.2)", CNN_CIFAR10, no_sn(), IS="", gradient_norms=""),
    ],
    also=("figure5", "figure18", "figure19"),
)

FIGURE_6 = Table(
    "bssn/figure6",
    "Figure 6: scaled SN_w and SN_Conv",
    [
        row(
            f"{name}_{scale:g}",
            f"{label}, scale {scale:g}",
            CNN_CIFAR10,
            sn(estimate, scale),
            IS="",
            gradient_norms="",
            note="The axis is not printed in the text.",
        )
        for name, label, estimate in (("sn_w", "SN_w", "matrix"), ("sn_conv", "SN_Conv", "operator"))
        for scale in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
    ],
)

FIGURE_8 = Table(
    "bssn/figure8",
    "Figure 8: scaled LeCun initialisation (its SSN half is bssn/table1)",
    [
        row(
            f"lecun_{scale:g}",
            f"LeCun initialisation, scale {scale:g}",
            CNN_CIFAR10,
            no_sn(init="lecun", init_scale=scale),
            IS="",
            note="The axis is not printed; good scales are near 0.2 and 1.2. The paper counts the best score during "
            "training (M.1); the score measured is the one at the end.",
        )
        for scale in (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 2.0)
    ],
)


def _ratios(number: int, dataset: str, base: Base, scale: float, *others: Values) -> Table:
    """Gradient ratios against inverse ratios of spectral norms, under random factors: section 3.1 and appendix K."""
    return Table(
        f"bssn/figure{number}",
        f"Figure {number}: ratios of gradient norms, {dataset}",
        [
            row(
                f"draw_{seed}",
                f"SN_Conv, random factors, draw {seed}",
                base,
                sn("operator", scale),
                constraint(scale_spread=0.5, scale_seed=seed),
                *others,
                gradient_ratios="",
                note="The paper does not say how the factors were drawn: log-normal with 0.5 here, three draws.",
            )
            for seed in (1, 2, 3)
        ],
    )


FIGURE_3 = _ratios(3, "MNIST", MNIST, 1.0)
FIGURE_14 = _ratios(14, "CIFAR-10", CNN_CIFAR10, 1.75)
FIGURE_15 = _ratios(15, "STL-10", CNN_STL10, 1.75, {"steps": 400_000})  # appendix K.1

EPOCH = "Figure 12 looks at epoch 50; the norms measured are those at the end."
FIGURE_2 = Table(
    "bssn/figure2",
    "Figures 2 and 12: gradient norms of D's layers, MNIST",
    [
        row("sn", "with SN", MNIST, sn("operator"), gradient_norms="", note=EPOCH),
        row("no_sn", "without SN", MNIST, WGAN_GP, gradient_norms="", note=EPOCH),
    ],
    also=("figure12",),
)

START: Values = {"steps": 10_000}  # where Figure 13 looks
FIGURE_13 = Table(
    "bssn/figure13",
    "Figure 13: gradient norms of D's layers at iteration 10,000, CIFAR-10",
    [
        row("sn", "with SN", CNN_CIFAR10, WASSERSTEIN, sn("operator"), START, gradient_norms=""),
        row("no_sn", "without SN", CNN_CIFAR10, WGAN_GP, START, gradient_norms=""),
    ],
)

# Appendix I.
HIGH = adam(0.001, 0.5, 0.999)
STRONG: Values = {"constraint.gradient_penalty": 50.0, "discriminator.slope": 0.0}
FIGURE_10 = Table(
    "bssn/figure10",
    "Figures 10 and 11: WGAN-GP that is stable, explodes or vanishes, CIFAR-10",
    [
        row("stable", "stable", CNN_CIFAR10, WGAN_GP, {"optim_d.lr": 0.0002}, IS=""),
        row("explosion", "gradient explosion", CNN_CIFAR10, WGAN_GP, HIGH, IS=""),
        row("vanishing", "gradient vanishing", CNN_CIFAR10, WGAN_GP, HIGH, STRONG, IS=""),
    ],
    also=("figure11",),
)
