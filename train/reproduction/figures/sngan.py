"""The figures of Miyato et al. 2018."""

from train.reproduction.figures.registry import OVER_SEEDS, PaperFigure

_IS, _FID = "inception_score", "fid"
_CURVES = f"the class score of the raw generator at intervals during training; {OVER_SEEDS}"


def _by_setting(number: int, metric: str, what: str) -> PaperFigure:
    return PaperFigure(
        key=f"sngan/figure{number}",
        title=f"Figure {number}: {what} on CIFAR-10 and STL-10 by method and setting",
        rows={"sngan/figure1": ["*"]},
        kind="bars",
        options={"metric": metric, "shown": {"CIFAR-10": "cifar10_*", "STL-10": "stl10_*"}, "by": ", setting "},
        draws="a panel a data set, a group of bars a method, a bar a setting from A to F",
        measured_by=f"the score at the end of each run; {OVER_SEEDS}",
    )


def _by_method(number: int, methods: tuple[str, ...], what: str, dataset: str = "*") -> PaperFigure:
    return PaperFigure(
        key=f"sngan/figure{number}",
        title=f"Figure {number}: images of {what}, settings A to F",
        rows={"sngan/figure1": [f"{dataset}_{method}_?" for method in methods]},
        kind="sample_matrix",
        options={"by": ", setting "},
        draws="images of every row, its best seed: a line a method and data set, a column a setting",
        measured_by="images of fixed latents by the seed with the best class score at the end of its run",
    )


FIGURES = (
    _by_setting(1, _IS, "inception scores"),
    _by_setting(2, _FID, "FIDs"),
    PaperFigure(
        key="sngan/figure3",
        title="Figure 3: squared singular values of D's weights, CIFAR-10 and STL-10",
        rows={"sngan/figure1": [f"*_{method}_?" for method in ("weight_clipping", "weight_norm", "spectral_norm")]},
        kind="singular_values",
        draws="a panel a layer and data set: weight clipping, weight and spectral normalisation, at the setting with "
        "the best score",
        measured_by="exact decomposition of the weights as the forward pass uses them, over the largest value",
    ),
    PaperFigure(
        key="sngan/figure4",
        title="Figure 4: score against the size of the last feature map, STL-10",
        rows={"sngan/figure4": ["*"]},
        kind="score_against",
        options={"metric": _IS, "by": ", relative size ", "label": "relative size of the last feature map", "log": 2},
        draws="the score over the relative size, a line for orthonormal regularisation and one for SN",
        measured_by="the score at the end of each run; the band is the standard deviation over seeds",
    ),
    PaperFigure(
        key="sngan/figure5",
        title="Figure 5: learning curves on ImageNet with labels",
        rows={"sngan/figure5": ["spectral_norm", "orthonormal"]},
        needs=("scores",),
        kind="score_curves",
        options={"shown": [(_IS, "*")]},
        draws="the score over generator updates, SN and orthonormal regularisation",
        measured_by=_CURVES,
    ),
    _by_method(6, ("wgan_gp", "weight_norm", "spectral_norm"), "WGAN-GP, weight and spectral normalisation"),
    PaperFigure(
        key="sngan/figure7",
        title="Figure 7: images of the SN-GAN on ImageNet at 128 px",
        rows={"sngan/figure5": ["spectral_norm"]},
        kind="best_samples",
        options={"metrics": [_IS]},
        draws="a sheet of images of the best run, a line a class",
        measured_by="the best class score at the end of a run, over seeds; the score stands in the title",
    ),
    PaperFigure(
        key="sngan/figure9",
        title="Figure 9: spectral norms of D's convolutions during training",
        rows={"sngan/figure9": ["*"]},
        needs=("checkpoints",),
        kind="spectral_norms",
        draws="the spectral norm of each of the seven convolutions over training",
        measured_by="exact singular values of the normalised weights in every kept checkpoint",
    ),
    PaperFigure(
        key="sngan/figure10",
        title="Figure 10: time of 100 generator updates",
        rows={"sngan/figure10": ["*"]},
        kind="bars",
        options={
            "metric": "seconds_per_100_updates",
            "shown": {"CIFAR-10": "cifar10_*", "STL-10": "stl10_*"},
            "by": ", ",
        },
        draws="a panel a data set, a bar a method",
        measured_by="seconds on this machine at the rate of the last 50 of the 100 updates, saves and sample grids "
        f"apart; short runs all 100 too; {OVER_SEEDS}",
    ),
    PaperFigure(
        key="sngan/figure11",
        title="Figure 11: the effect of n_dis, setting D, CIFAR-10",
        rows={"sngan/figure11": ["*"]},
        kind="score_against",
        options={"metric": _IS, "by": ", n_dis ", "label": "n_dis, updates of D for one of G"},
        draws="the score over n_dis, a line for spectral and one for weight normalisation",
        measured_by="the score at the end of each run; the band is the standard deviation over seeds",
    ),
    _by_method(
        12, ("gan_gp", "layer_norm", "batch_norm"), "GAN-GP, layer and batch normalisation, CIFAR-10", "cifar10"
    ),
    PaperFigure(
        key="sngan/figure13",
        title="Figure 13: learning curves on ImageNet, (a) without labels, (b) with the projection head",
        rows={"sngan/figure13": ["*"]},
        needs=("scores",),
        kind="score_curves",
        options={"shown": [(_IS, "unconditional_*"), (_IS, "projection_*")]},
        draws="a panel for each head: the score over generator updates, SN and orthonormal regularisation",
        measured_by=_CURVES,
    ),
    PaperFigure(
        key="sngan/figure14",
        title="Figure 14: sets of singular values that weight and spectral normalisation allow",
        rows={},
        kind="possible_singular_values",
        draws="sets of singular values in increasing order, those of weight normalisation scaled by 1 / sqrt(d_o)",
        measured_by="no run: matrices whose singular values fall as powers of their index, over the norms of their "
        "rows and over the largest value; exact",
    ),
    PaperFigure(
        key="sngan/figure15",
        title="Figure 15: (a) critic loss on training and validation images, (b) inception score, CIFAR-10",
        rows={"sngan/table7": ["cnn", "cnn_weight_norm", "cnn_spectral_norm"]},
        needs=("scores", "checkpoints", "validation"),
        kind="critic_losses",
        draws="over generator updates: the critic's loss on images it was trained on and on others, and the score",
        measured_by="loss with gradient penalty of each kept checkpoint on training images and on the test split, "
        f"prepared beside the training set; the class score at intervals; {OVER_SEEDS}",
    ),
)
