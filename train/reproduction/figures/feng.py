"""The figures of the reproducibility report, Feng et al. 2019."""

from train.reproduction.figures.registry import OVER_SEEDS, PaperFigure

_MODELS = ("began", "ebgan", "wgan_gp", "batch_norm", "layer_norm", "sngan")
_TRAINED = {"report/table1": [f"{model}_?" for model in _MODELS]}

FIGURES = (
    PaperFigure(
        key="report/figure1",
        title="Figure 1: the SNGAN at 128 px: its losses, real images, and its own",
        rows={"report/figure1": ["sngan"]},
        kind="real_and_generated",
        draws="losses of G and D over generator updates; real images (left) and generated ones (right)",
        measured_by="the logged losses, one run; images of the first seed from fixed latents",
    ),
    PaperFigure(
        key="report/figure2",
        title="Figure 2: scores of each model at settings A, B and C",
        rows=_TRAINED,
        kind="bars",
        options={"metric": ["inception_score", "fid"], "shown": {"": "*"}, "by": ", setting "},
        draws="a panel for each score, a group of bars a model, a bar a setting",
        measured_by=f"the score at the end of each run; {OVER_SEEDS}",
    ),
    PaperFigure(
        key="report/figure3",
        title="Figure 3: scores of each model during training",
        rows=_TRAINED,
        needs=("scores",),
        kind="score_curves",
        options={"shown": [("inception_score", "*"), ("fid", "*")], "best_of": ", setting "},
        draws="a panel for each score over generator updates, a line a model",
        measured_by="scores of the raw generator at intervals during training, at the setting with the best score at "
        f"the end, as the report does not say which it drew; {OVER_SEEDS}",
    ),
)
