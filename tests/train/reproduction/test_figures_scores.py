"""Figures of scores and images: the numbers drawn, of runs written by hand, beside numpy's."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from sngan_cond import Generator
from sngan_cond.latents import draw_latents
from sngan_cond.randomness import rng_for
from tests.refusals import refused
from tests.train.test_reproduce import row_of
from train.analysis.measure import load_discriminator
from train.data.dataset import PreparedDataset
from train.errors import TrainError
from train.evaluation.streams import on_device
from train.presets.load import config_to_yaml
from train.reproduce import main
from train.reproduction.figures.critic import critic_loss
from train.reproduction.figures.drawing import draw_figures
from train.reproduction.figures.gradients import loss_gradients
from train.reproduction.figures.index import FIGURES
from train.reproduction.figures.intervals import score_curve
from train.reproduction.figures.reading import best_task, checkpoints, final_score
from train.reproduction.figures.samples import real_and_generated
from train.reproduction.figures.scores import bars, score_against, score_curves
from train.reproduction.figures.singular_values import possible_singular_values
from train.reproduction.measures import Measured
from train.reproduction.results import Result
from train.reproduction.task import Budget, Scoring, Task
from train.run.run import CONFIG_FILE

RUN = {"inception_score": "class_score", "fid": "frechet"}


def task_of(key: str, name: str, folder: Path, seed: int = 0) -> Task:
    table, row = row_of(key, name)
    budget, scoring = Budget(name="smoke", seeds=2), Scoring(extractor="toy")
    return Task(table=table, row=row, seed=seed, budget=budget, scoring=scoring, folder=folder)


def end(task: Task, **scores: float) -> Task:
    """Write a run's result; without scores it has failed."""
    measured = {metric: [Measured(f"{RUN[metric]}_toy", value, "paper", "toy")] for metric, value in scores.items()}
    reasons = {} if scores else {"run": "step 7: not finite"}
    made = Result(seed=task.seed, request=task.request(), steps=5, measured=measured, reasons=reasons)
    task.run_dir.mkdir(parents=True, exist_ok=True)
    (task.run_dir / "result.json").write_text(json.dumps(asdict(made)))
    return task


def score(task: Task, metric: str, values: Sequence[float], *, extractor: str = "toy", **other: Any) -> Task:
    """Write the scores of steps 2, 4, ..., as a run takes them: the raw generator's are drawn, not the average's."""
    for number, value in enumerate(values, start=1):
        folder = task.run_dir / "evaluations" / f"step-{2 * number:08d}"
        folder.mkdir(parents=True)
        for name, shift in (("generator", 0.0), ("ema", 100.0)):
            row = {"metric": RUN[metric], "name": f"{RUN[metric]}_{extractor}", "value": value + shift, "protocol": "p"}
            row |= {"fake_count": 5000, "real_count": 10_000 if metric == "fid" else 0, "extractor": extractor} | other
            (folder / f"{name}.json").write_text(json.dumps({"metrics": [row]}))
    return task


def points(line: dict[str, Any]) -> np.ndarray:
    return np.array([[point.get("x", point.get("step")), point["mean"], point["error"]] for point in line["points"]])


def test_learning_curves_are_means_over_seeds_with_their_standard_error(tmp_path: Path) -> None:
    values = {
        "cifar10_sn_2": [(1.0, 2.5), (3.0, 2.0), (2.0, 6.0)],
        "cifar10_bsn_2": [(4.0, 1.0), (4.5, 1.5), (5.0, 0.0)],
    }
    tasks = [
        score(task_of("bssn/table6", name, tmp_path, seed), "inception_score", values[name][seed])
        for name in values
        for seed in range(3)
    ]
    tasks.append(end(task_of("bssn/table6", "cifar10_bsn_2", tmp_path, 3)))
    figure = Figure()
    drawn = score_curves(figure, tasks, shown=[("inception_score", "*")])
    for line, expected in zip(drawn["panels"][0]["lines"], values.values(), strict=True):
        runs = np.array(expected)
        by_numpy = np.stack([[2, 4], runs.mean(0), runs.std(0, ddof=1) / np.sqrt(3)], axis=1)
        np.testing.assert_allclose(points(line), by_numpy, rtol=1e-12)  # the same sums in another order
    assert drawn["reasons"] == ["bssn/table6/cifar10_bsn_2 seed 3: step 7: not finite"]
    assert drawn["spread"] == "band: standard error over 3 seeds"
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.lines[1].get_ydata(), np.mean(values["cifar10_bsn_2"], axis=0))
    assert axes.get_ylabel() == "class score toy\n5,000 images"
    end(tasks[1])  # it has scores, and ended early
    drawn = score_curves(Figure(), tasks[:3], shown=[("inception_score", "*")])
    assert drawn["reasons"] == ["bssn/table6/cifar10_sn_2 seed 1: as far as it came: step 7: not finite"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"extractor": "other"}, "frechet_other, 5,000 images against 10,000 real (p, other) and frechet_toy"),
        ({"fake_count": 500}, "frechet_toy, 5,000 images against 10,000 real (p, toy) and frechet_toy, 500 images"),
        ({"real_count": 20}, "frechet_toy, 5,000 images against 20 real"),
        ({"extractor_sha256": "ab" * 32}, "(p, toy abababababab)"),
    ],
)
def test_curves_of_several_kinds_share_no_axis(other: dict[str, Any], words: str, tmp_path: Path) -> None:
    tasks = [score(task_of("bssn/table6", "cifar10_sn_2", tmp_path), "fid", [3.0])]
    tasks.append(score(task_of("bssn/table6", "cifar10_bsn_2", tmp_path), "fid", [4.0], **other))
    for figure in (score_curves, score_against):
        options: dict[str, Any] = {"shown": [("fid", "*")]}
        if figure is score_against:
            options = {"metric": "fid", "by": ", row ", "label": "row", "during": True}
        refused(lambda: figure(Figure(), tasks, **options), words, "share no axis", by=TrainError)  # noqa: B023


def test_scores_of_another_kind_than_asked_for_are_not_drawn(tmp_path: Path) -> None:
    task = replace(task_of("bssn/table6", "cifar10_sn_2", tmp_path), needs=frozenset({"scores"}))
    scoring = Scoring(extractor="efficientnet-lite0", weights_sha256="ab" * 32, fakes=5000, reals=10_000)
    task = replace(task, scoring=scoring)
    made = {"extractor": scoring.extractor, "extractor_sha256": "ab" * 32, "protocol": "bsn(reduced)"}
    score(task, "fid", [3.0, 4.0], **made)
    assert score_curve(task, "fid").values == [3.0, 4.0]
    for changed in (
        replace(scoring, fakes=500),
        replace(scoring, reals=500),
        replace(scoring, weights_sha256="cd" * 32),
    ):
        with pytest.raises(TrainError, match=r"sn_2 seed 0: scored as frechet_efficientnet.* asked for is frechet"):
            score_curve(replace(task, scoring=changed), "fid")


def test_a_folder_of_another_run_is_not_read(tmp_path: Path) -> None:
    task = score(task_of("bssn/table6", "cifar10_sn_2", tmp_path), "fid", [3.0])
    (task.run_dir / CONFIG_FILE).write_text(config_to_yaml(task.config))
    assert score_curve(task, "fid").values == [3.0]
    asked = replace(task, budget=replace(task.budget, overrides=("constraint.scale=1.5",)))
    words = "constraint.scale=1.0, asked for is 1.5"
    for read in (
        lambda: score_curve(asked, "fid"),
        lambda: checkpoints(asked),
        lambda: final_score(asked, "fid"),
        lambda: loss_gradients(Figure(), [asked]),
        lambda: real_and_generated(Figure(), [asked]),
    ):
        refused(read, words, by=TrainError)


def test_curves_at_the_best_setting_of_each_model(tmp_path: Path) -> None:
    """Feng et al. 2019, Figure 3: by the FID the lowest is best."""
    asked = {"protocol": "report", "fake_count": 6000, "real_count": 50_000}
    ends = {"ebgan_A": 30.0, "ebgan_B": 20.0, "sngan_A": 7.0, "sngan_B": 9.0}
    tasks = [
        end(score(task_of("report/table1", name, tmp_path), "fid", [1.0], **asked), fid=end_)
        for name, end_ in ends.items()
    ]
    drawn = score_curves(Figure(), tasks, shown=[("fid", "*")], best_of=", setting ")
    assert [line["line"] for line in drawn["panels"][0]["lines"]] == ["EBGAN, setting B", "SNGAN, setting A"]
    # task_of's runs of five steps ask for no scores; of those that do, what is missing is said
    scored = [replace(task, needs=frozenset({"scores"})) for task in tasks if task.row.name == "sngan_A"]
    drawn = score_curves(Figure(), [end(task, fid=7.0) for task in scored], shown=[("fid", "*")])
    assert drawn["reasons"] == [
        "report/table1/sngan_A seed 0: scored at 1 of 2 steps; without its folder it is made anew"
    ]


def test_bars_stand_by_method_and_setting(tmp_path: Path) -> None:
    scores = {"sn_same_gamma_1": (6.0, 7.0), "sn_same_gamma_4": (5.0, 5.5), "bsn_1": (8.0, 9.5)}
    tasks = [
        end(task_of("bssn/table6", f"cifar10_{name}", tmp_path, seed), inception_score=value)
        for name, values in scores.items()
        for seed, value in enumerate(values)
    ]
    figure = Figure()
    drawn = bars(figure, tasks, metric="inception_score", shown={"CIFAR-10": "*", "STL-10": "stl10_*"}, by=", row ")
    found = {(bar["group"], bar["setting"]): (bar["mean"], bar["error"]) for bar in drawn["panels"][0]["bars"]}
    # of two values the standard error is half their distance
    assert found == {
        ("SN (same gamma)", "1 of Table 7"): (6.5, pytest.approx(0.5)),
        ("SN (same gamma)", "4 of Table 7"): (5.25, pytest.approx(0.25)),
        ("BSN", "1 of Table 7"): (8.75, pytest.approx(0.75)),
    }
    places = {round(patch.get_x() + patch.get_width() / 2, 6): patch.get_height() for patch in figure.axes[0].patches}
    assert sorted(places.values()) == [5.25, 6.5, 8.75]
    assert places[max(places)] == 8.75  # BSN right of both bars of SN
    assert drawn["spread"] == "error bars: standard error over 2 seeds"
    assert len(figure.axes) == 1  # no row of STL-10 was asked for


def test_the_best_score_during_training_stands_over_the_scale(tmp_path: Path) -> None:
    """Lin et al. 2021, Figure 8: SN is SSN at scale 1, and the score at the end does not count."""
    runs = {("bssn/table1", "cifar10_sn_1"): [(2.0, 5.0, 3.0), (1.0, 1.0, 7.0)]}
    runs |= {("bssn/table1", "cifar10_sn_2.2"): [(4.0, 3.0, 2.0), (3.0, 4.0, 1.0)]}
    runs |= {("bssn/figure8", "lecun_0.2"): [(1.5, 1.0, 1.0), (1.0, 2.5, 2.0)]}
    tasks = [
        score(task_of(*row, tmp_path, seed), "inception_score", values)
        for row, of_seeds in runs.items()
        for seed, values in enumerate(of_seeds)
    ]
    drawn = score_against(Figure(), tasks, **FIGURES["bssn/figure8"].options)
    assert [line["line"] for line in drawn["lines"]] == ["SSN", "LeCun initialisation"]
    np.testing.assert_allclose(points(drawn["lines"][0]), [[1, 6, 1], [2.2, 4, 0]])
    np.testing.assert_allclose(points(drawn["lines"][1]), [[0.2, 2, 0.5]])


def test_the_band_of_a_standard_deviation_is_named_so(tmp_path: Path) -> None:
    """Miyato et al. 2018, Figure 11."""
    tasks = [
        end(task_of("sngan/figure11", "weight_norm_5", tmp_path, seed), inception_score=value)
        for seed, value in enumerate((1.0, 2.0, 6.0))
    ]
    drawn = score_against(Figure(), tasks, **FIGURES["sngan/figure11"].options)
    np.testing.assert_allclose(points(drawn["lines"][0]), [[5, 3, np.std([1, 2, 6], ddof=1)]])
    assert drawn["spread"] == "band: standard deviation over 3 seeds"


def test_the_best_run_is_over_settings_and_seeds(tmp_path: Path) -> None:
    scores = {("cifar10_sn_1", 0): 5.0, ("cifar10_sn_1", 1): 8.0, ("cifar10_sn_4", 0): 7.0}
    tasks = [
        end(task_of("bssn/table6", name, tmp_path, seed), inception_score=value, fid=value)
        for (name, seed), value in scores.items()
    ]
    for metric, best in (("inception_score", ("cifar10_sn_1", 1)), ("fid", ("cifar10_sn_1", 0))):
        task, measured = best_task(tasks, metric)
        assert (task.row.name, task.seed) == best
        assert measured.value == scores[best]


def test_weight_normalisation_allows_fewer_sets_of_singular_values() -> None:
    """Miyato et al. 2018, equation 27: squares over d_o sum to 1; under SN the largest is 1 and the others are free."""
    drawn = possible_singular_values(Figure(), [])["sets"]
    for one in drawn:
        squared = one["squared"]
        assert squared == sorted(squared)
        if one["normalised"] == "SN":
            assert squared[-1] == pytest.approx(1)
            assert one["sum"] == pytest.approx(sum(t ** (-2 * one["decay"]) for t in range(1, 17)))
        else:
            assert sum(squared) == pytest.approx(1)


def test_what_cannot_be_drawn_stands_in_the_list_with_its_reason(tmp_path: Path) -> None:
    budget = Budget(name="smoke", seeds=2)
    tasks = [end(task_of("bssn/table6", f"cifar10_{name}_2", tmp_path)) for name in ("sn", "bsn")]
    (tmp_path / "bssn-figure9.png").write_text("of an earlier call")
    figures = [FIGURES["bssn/figure9"], FIGURES["sngan/figure14"], FIGURES["sngan/figure5"]]
    made = list(draw_figures(tmp_path / "figures.md", figures, tasks, budget))
    assert [one.is_drawn for one in made] == [False, True, False]
    assert made[0].reasons == ["bssn/table6/cifar10_sn_2 seed 0: step 7: not finite (and 1 more)"]
    assert not (tmp_path / "bssn-figure9.png").exists()
    text = (tmp_path / "figures.md").read_text()
    assert "| bssn/figure9 | nothing | scores of the raw generator" in text
    assert "| [sngan/figure14](sngan-figure14.png) | sets of singular values" in text
    assert "none of its rows was asked for" in text
    assert json.loads((tmp_path / "sngan-figure14.json").read_text())["figure"] == "sngan/figure14"


@pytest.mark.slow
def test_critic_losses_are_those_of_wgan_gp_on_both_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Miyato et al. 2018, Figure 15, from the command on; the loss once more by Gulrajani et al.'s formula."""
    command = ["--figure", "sngan/figure15", "--rows", "cnn_*_norm", "--budget", "smoke", "--extractor", "none"]
    assert main([*command, "--run-dir", str(tmp_path)]) == 0
    assert "scores were not asked for" in capsys.readouterr().out  # panel (b)
    drawn = json.loads((tmp_path / "sngan-figure15.json").read_text())
    lines = {line["line"]: line["points"] for line in drawn["losses"]}
    label = row_of("sngan/table7", "cnn_weight_norm")[1].label
    assert [point["step"] for point in lines[f"{label}, training images"]] == [2, 4, 5]
    table, row = row_of("sngan/table7", "cnn_weight_norm")
    scoring, needs = (
        Scoring(extractor=None, missing="scores were not asked for", fakes=20, reals=20),
        FIGURES["sngan/figure15"].needs,
    )
    budget = Budget(name="smoke", seeds=1)
    task = Task(table=table, row=row, seed=0, budget=budget, scoring=scoring, folder=tmp_path, needs=frozenset(needs))
    newest = checkpoints(task)[-1]
    for side, folder in (("training", task.data_path), ("validation", task.validation_path)):
        images = PreparedDataset.open(folder).images.copy()
        x = on_device(images, torch.device("cpu")).float() / 127.5 - 1
        found = critic_loss(task, newest, x)
        assert lines[f"{label}, {side} images"][-1]["mean"] == found
        assert found == pytest.approx(wgan_gp_loss(task, newest, x), rel=1e-5)  # float32
    assert len({points[-1]["mean"] for points in lines.values()}) == len(lines)


def wgan_gp_loss(task: Task, checkpoint: Any, x: torch.Tensor) -> float:
    """Gulrajani et al. 2017, algorithm 1, lines 6 and 7, with lambda 10."""
    G, D = Generator.from_pretrained(checkpoint.folder).eval(), load_discriminator(task.config, checkpoint)
    rng = rng_for(task.seed, "critic loss")
    z = draw_latents(len(x), G.config.latent_dim, rng=rng, latent=G.config.latent)
    with torch.no_grad():
        fake = G(z, None)
    mixed = torch.rand(len(x), 1, 1, 1, generator=rng) * (x - fake) + fake
    mixed.requires_grad_()
    (gradient,) = torch.autograd.grad(D(mixed, None).score.sum(), mixed)
    penalty = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    return float((D(fake, None).score.mean() - D(x, None).score.mean() + 10 * penalty).detach())
