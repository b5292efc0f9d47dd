"""Figures of D's layers: what is drawn of kept checkpoints, beside numpy's numbers of the weights that were saved."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from sngan_cond import ConstraintConfig, Discriminator, DiscriminatorConfig, build_constraint
from sngan_cond.constraints.weight_matrices import normalised_layers, raw_weight
from tests.train.test_reproduce import row_of
from train.analysis.measure import measure_run
from train.data.dataset import PreparedDataset
from train.errors import TrainError
from train.presets.load import config_to_yaml
from train.reproduction.figures.gradients import gradient_curves, gradient_ratios, gradients_by_layer, loss_gradients
from train.reproduction.figures.operators import norm_ratios
from train.reproduction.figures.spectral import spectral_norms
from train.reproduction.figures.variances import (
    score_against_variance,
    variance_against_scale,
    variance_bounds,
    variance_curves,
    variances_with_bounds,
)
from train.reproduction.gradients import gradient_norms
from train.reproduction.measures import measure
from train.reproduction.results import Result
from train.reproduction.task import Budget, Scoring, Task
from train.run.checkpoint import save_checkpoint

ROUNDS = "constraint.iterations=100"  # so that a normalised weight's norm is its factor to about 1e-3
CONVS = [f"trunk.convs.{number}" for number in range(7)]


def task_of(key: str, name: str, folder: Path, *overrides: str, seed: int = 0) -> Task:
    table, row = row_of(key, name)
    budget = Budget(name="smoke", seeds=1, overrides=("steps=40", *overrides))
    scoring = Scoring(extractor="toy", missing="")
    return Task(table=table, row=row, seed=seed, budget=budget, scoring=scoring, folder=folder)


def keep(task: Task, step: int, *, change: float = 1.0) -> dict[str, np.ndarray]:
    """Save a checkpoint of a fresh D, and return its raw weights by layer."""
    torch.manual_seed(100 * task.seed + step)
    D = Discriminator(task.config.discriminator)
    build_constraint(task.config.constraint).attach(D)
    weights = {}
    for name, layer in normalised_layers(D):
        raw_weight(layer).data.mul_(change)
        weights[name] = raw_weight(layer).detach().double().numpy()
    state = {"step": step, "images_seen": 4 * step, "seconds": 1.0, "world_size": 1, "config": {}}
    tensors = {"discriminator": D.state_dict()}
    save_checkpoint(task.run_dir / "checkpoints", state=state, tensors=tensors, texts={}, keep=10)
    return weights


def checked(numbers: dict[str, Any]) -> dict[str, Any]:
    """What JSON makes of it, which has no nan."""
    found: dict[str, Any] = json.loads(json.dumps(numbers, allow_nan=False))
    return found


def matrix_norm(weight: np.ndarray) -> float:
    return float(np.linalg.norm(weight.reshape(len(weight), -1), 2))


def test_variances_are_geometric_means_over_seeds_and_steps_are_in_order(tmp_path: Path) -> None:
    tasks = [task_of("bssn/figure4", "no_sn", tmp_path, seed=seed) for seed in (0, 1)]
    raw = {(seed, step): keep(tasks[seed], step, change=step + seed) for seed, step in ((0, 7), (0, 3), (1, 7))}
    figure = Figure()
    numbers = checked(variance_curves(figure, tasks))
    ((label, row),) = numbers["rows"].items()
    assert [(moment["step"], moment["seeds"]) for moment in row] == [(3, 1), (7, 2)]
    assert numbers["spread"] == "geometric means over 1 to 2 seeds"
    for name in (*CONVS, "head.linear"):
        assert row[0]["values"][name] == pytest.approx(raw[0, 3][name].var(), rel=1e-9)
        both = raw[0, 7][name].var() * raw[1, 7][name].var()
        assert row[1]["values"][name] == pytest.approx(math.sqrt(both), rel=1e-9)
    (axes,) = figure.axes
    assert axes.get_title() == label
    assert [line.get_label() for line in axes.lines] == [f"layer {number}" for number in range(1, 9)]
    np.testing.assert_allclose(axes.lines[7].get_ydata(), [moment["values"]["head.linear"] for moment in row])
    assert list(axes.lines[7].get_xdata()) == [3, 7]


def test_variances_stand_under_their_bounds(tmp_path: Path) -> None:
    names = {"sn_w": 1.0, "sn_conv_1.75": 1.75, "no_sn": None}
    tasks = [task_of("bssn/figure4", name, tmp_path, *([ROUNDS] if scale else [])) for name, scale in names.items()]
    raw = [keep(task, 5, change=3.0) for task in tasks]
    figure = Figure()
    numbers = checked(variances_with_bounds(figure, tasks))
    for task, scale, weights in zip(tasks, names.values(), raw, strict=True):
        bounds, (moment,) = numbers["bounds"][task.row.label], numbers["rows"][task.row.label]
        if scale is None:
            assert set(bounds.values()) == {None}
            continue
        assert bounds["trunk.convs.0"] == pytest.approx(scale**2 / (3 * 9))  # c_out = 4
        assert bounds["trunk.convs.5"] == pytest.approx(scale**2 / (16 * 16))
        assert bounds["head.linear"] == pytest.approx(scale**2 / (32 * 16))
        assert all(0 < moment["values"][name] <= bounds[name] * 1.01 for name in bounds)
        if task.row.name == "sn_w":
            expected = {name: (w / matrix_norm(w)).var() for name, w in weights.items()}
            assert moment["values"] == pytest.approx(expected, rel=5e-3)
    assert len(figure.axes) == 8
    assert len(figure.axes[3].lines) == 5  # three rows, and two bounds


def test_the_bound_of_the_mean_of_two_views() -> None:
    """c_in = 2, c_out = 4 and others, by hand; twice, as k^2 is below a ratio of widths and one rank is 9."""
    config = DiscriminatorConfig(resolution=32, num_classes=0, architecture="cnn", head="unconditional", channels=2)
    D = Discriminator(config)
    build_constraint(ConstraintConfig(estimate="bidirectional", scale=2.0, iterations=200)).attach(D)
    bounds = variance_bounds(D)
    assert bounds["trunk.convs.1"] == pytest.approx(4 / (2 * 16))  # 2 to 2 at 4 x 4: Theorem 3 as printed
    assert bounds["trunk.convs.2"] == pytest.approx(4 * 4 / (9 * (math.sqrt(2) + 2) ** 2))  # 2 to 4 at 3 x 3
    assert bounds["head.linear"] == pytest.approx(4 / (16 * 16))
    for name, layer in normalised_layers(D):
        assert 0 < float(layer.weight.detach().square().mean()) <= bounds[name] * 1.001


def test_spectral_norms_of_the_convolutions(tmp_path: Path) -> None:
    task = task_of("sngan/figure9", "cifar10", tmp_path, "constraint.scale=1.3")
    raw = keep(task, 5, change=0.2)
    figure = Figure()
    numbers = checked(spectral_norms(figure, [task]))
    ((moment,),) = numbers["rows"].values()
    assert list(moment["values"]) == CONVS
    torch.manual_seed(5)  # the same D again, and one round from the same u
    twin = Discriminator(task.config.discriminator)
    build_constraint(task.config.constraint).attach(twin)
    for name in CONVS:
        w, u = raw[name], twin.get_submodule(name).get_buffer("parametrizations.weight.0.u").double().numpy()
        v = w.reshape(len(w), -1).T @ u
        sigma = np.linalg.norm(w.reshape(len(w), -1) @ (v / np.linalg.norm(v)))
        assert moment["values"][name] == pytest.approx(1.3 * matrix_norm(w) / sigma, rel=1e-5)
        assert moment["values"][name] >= 1.3


@pytest.fixture
def data(tiny_data: Path) -> str:
    """Smoke tests draw data of their own; here the session's is taken."""
    return f"data.path={tiny_data}"


def test_gradients_by_layer_at_the_nearest_checkpoint(tmp_path: Path, data: str) -> None:
    task = task_of("bssn/figure13", "no_sn", tmp_path, data)
    for step in (10, 18, 40):
        keep(task, step, change=step / 10)
    numbers = checked(gradients_by_layer(Figure(), [task], share=0.5))
    assert numbers["sought_step"] == {"without SN": 20}
    (moment,) = numbers["rows"]["without SN"]
    assert moment["step"] == 18
    curves = checked(gradient_curves(Figure(), [task]))["rows"]["without SN"]
    assert [one["step"] for one in curves] == [10, 18, 40]
    assert curves[1] == moment
    # The score is linear in the last layer: its gradient is the mean of the features, of 64 images of the data set.
    torch.manual_seed(18)
    D = Discriminator(task.config.discriminator)
    for _, layer in normalised_layers(D):
        layer.weight.data.mul_(1.8)
    images = PreparedDataset.open(task.config.data.path).images[:64]
    features = D.eval().features(torch.tensor(images).movedim(3, 1).float() / 127.5 - 1).detach()
    assert moment["values"]["head.linear"] == pytest.approx(float(features.mean(0).norm()), rel=1e-4)


def test_gradient_norms_beside_finite_differences() -> None:
    torch.manual_seed(3)
    config = DiscriminatorConfig(resolution=16, num_classes=0, architecture="cnn", head="unconditional", channels=2)
    D = Discriminator(config).double().eval()
    for _, layer in normalised_layers(D):
        layer.weight.data.mul_(6.0)
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    found, step = gradient_norms(D, x, None)[0], 1e-6
    weight, slopes = D.trunk.convs[0].weight, []
    with torch.no_grad():
        for index in np.ndindex(*weight.shape):  # 2 x 3 x 3 x 3
            sides = []
            for sign in (1, -1):
                weight[index] += sign * step
                sides.append(float(D(x, None).score.mean()))
                weight[index] -= sign * step
            slopes.append((sides[0] - sides[1]) / (2 * step))
    assert found == pytest.approx(float(np.linalg.norm(slopes)), rel=1e-5)


@pytest.mark.slow
def test_ratios_of_gradients_by_those_of_their_factors(tmp_path: Path, data: str) -> None:
    tasks = [task_of("bssn/figure14", f"draw_{draw}", tmp_path, data) for draw in (1, 2)]
    for task in tasks:
        keep(task, 4, change=2.0)
    keep(tasks[1], 9, change=2.0)
    figure = Figure()
    points = checked(gradient_ratios(figure, tasks))["points"]
    assert list(points) == [f"layer {number} / layer 1" for number in range(2, 9)]
    assert [(point["row"][-1], point["step"]) for point in points["layer 5 / layer 1"]] == [
        ("1", 4),
        ("2", 4),
        ("2", 9),
    ]
    logs = 0.5 * torch.randn(8, generator=torch.Generator().manual_seed(2), dtype=torch.float64).numpy()
    for number in range(1, 8):  # factors of draw 2 are log-normal with 0.5; two checkpoints of a run share them
        found = [point["inverse_norm_ratio"] for point in points[f"layer {number + 1} / layer 1"]]
        assert found[1:] == pytest.approx([math.exp(logs[0] - logs[number])] * 2)
    assert all(point["gradient_ratio"] > 0 for pair in points.values() for point in pair)
    diagonal = figure.axes[0].lines[-1]
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())


def test_the_gradient_of_the_loss_is_read_off_the_log(tmp_path: Path) -> None:
    tasks = [task_of("bssn/figure10", name, tmp_path) for name in ("stable", "vanishing", "explosion")]
    for task, values in zip(tasks, ([3.0, 2.0], [0.5, None]), strict=False):
        task.run_dir.mkdir(parents=True)
        lines = [{"step": s, "images_seen": 4 * s, "d/gradient_norm": v} for s, v in zip((10, 20), values, strict=True)]
        (task.run_dir / "scalars.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    figure = Figure()
    numbers = checked(loss_gradients(figure, tasks))
    assert numbers["rows"]["stable"] == {"seed 0": {"steps": [10, 20], "values": [3.0, 2.0]}}
    assert numbers["rows"]["gradient vanishing"]["seed 0"]["values"] == [0.5, None]
    assert numbers["reasons"] == ["bssn/figure10/explosion seed 0: no d/gradient_norm is logged"]
    assert len(figure.axes[0].lines) == 2
    with pytest.raises(TrainError, match="explosion seed 0: no d/gradient_norm"):
        loss_gradients(Figure(), tasks[2:])


def log_product(weights: dict[str, np.ndarray], scale: float) -> float:
    return sum(math.log((scale * w / matrix_norm(w)).var()) for w in weights.values())


def test_variance_against_scale(tmp_path: Path) -> None:
    scales = {"sn_w_2": 2.0, "sn_w_0.5": 0.5}
    tasks = [task_of("bssn/figure6", name, tmp_path, ROUNDS) for name in (*scales, "sn_conv_3")]
    raw = [keep(task, 40, change=2.0) for task in tasks]
    keep(tasks[0], 3)  # older: not measured
    figure = Figure()
    points = checked(variance_against_scale(figure, tasks))["points"]
    assert [point["scale"] for point in points["SN_w"]] == [0.5, 2.0]
    expected = [log_product(weights, scale) for weights, scale in zip(raw, scales.values(), strict=False)]
    assert [point["log_product"] for point in points["SN_w"]] == pytest.approx(expected[::-1], abs=0.02)
    (strict,) = points["SN_Conv"]  # the operator's norm is above the matrix's
    assert strict["log_product"] < log_product(raw[2], 3.0) - 1
    assert [line.get_label() for line in figure.axes[0].lines] == ["SN_w", "SN_Conv"]
    unfinished = task_of("bssn/figure6", "sn_w_3", tmp_path)
    keep(unfinished, 30)
    numbers = variance_against_scale(Figure(), [tasks[0], unfinished])
    assert numbers["reasons"] == ["bssn/figure6/sn_w_3 seed 0: its newest checkpoint is of step 30 of 40"]
    assert [point["scale"] for point in numbers["points"]["SN_w"]] == [2.0]


def score(task: Task, step: int, value: float, name: str = "class_score_toy") -> None:
    row = {"metric": "class_score", "name": name, "value": value, "protocol": "bsn", "extractor": name}
    row |= {"fake_count": 50_000, "real_count": 0}
    path = task.run_dir / "evaluations" / f"step-{step:08d}" / "generator.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"metrics": [row]}))


def test_score_against_variance_at_the_best_score(tmp_path: Path) -> None:
    scaled = task_of("bssn/table1", "cifar10_sn_1.4", tmp_path, ROUNDS)
    lecun = task_of("bssn/figure8", "lecun_0.2", tmp_path)
    for task, scores in ((scaled, {10: 2.0, 20: 3.5, 30: 1.0}), (lecun, {10: 1.25})):
        for step, value in scores.items():
            score(task, step, value)
    raw = [keep(scaled, step, change=step) for step in (11, 21, 29)]
    plain = keep(lecun, 12, change=0.3)
    figure = Figure()
    points = checked(score_against_variance(figure, [scaled, lecun], metric="inception_score"))["points"]
    ((one,), (two,)) = points["SN_w"], points["LeCun initialisation"]
    assert (one["scale"], one["score"], one["step"], one["variance_step"]) == (1.4, 3.5, 20, 21)
    assert one["log_product"] == pytest.approx(log_product(raw[1], 1.4), abs=0.02)
    assert (two["scale"], two["score"], two["variance_step"]) == (0.2, 1.25, 12)
    assert two["log_product"] == pytest.approx(sum(math.log(w.var()) for w in plain.values()), rel=1e-9)
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.4", "0.2"]
    score(lecun, 20, 2.0, "class_score_toy")
    other = task_of("bssn/figure8", "lecun_1", tmp_path)
    keep(other, 12)
    score(other, 10, 2.0, "inception_score")
    assert figure.axes[0].get_ylabel() == "best class score toy during training\n50,000 images"
    with pytest.raises(TrainError, match=r"class_score_toy.* and inception_score.* share no axis"):
        score_against_variance(Figure(), [scaled, other], metric="inception_score")


def test_weights_that_are_not_finite_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sick, well = (task_of("sngan/figure9", "cifar10", tmp_path, seed=seed) for seed in (0, 1))
    keep(sick, 3)
    keep(sick, 5, change=math.nan)
    keep(well, 5)
    numbers = spectral_norms(Figure(), [sick, well])
    (reason,) = numbers["reasons"]
    assert reason.startswith("sngan/figure9/cifar10 seed 0, step 5: trunk.convs.0.")
    assert measure(sick)[1]["spectral_norms"].endswith("is not finite: it has no singular values")
    with pytest.raises(TrainError, match=r"cifar10 seed 0, step 5: trunk\.convs\.0"):
        norm_ratios(Figure(), [sick])
    failed = Result(seed=1, request=well.request(), measured={}, reasons={"run": "step 7: not finite"})
    (well.run_dir / "result.json").write_text(json.dumps(asdict(failed)))
    (reason,) = spectral_norms(Figure(), [well])["reasons"]
    assert reason == "sngan/figure9/cifar10 seed 1: as far as it came: step 7: not finite"
    (sick.run_dir / "config.yaml").write_text(config_to_yaml(sick.config))
    (sick.run_dir / "scalars.jsonl").write_text('{"step": 5, "images_seen": 20, "d/loss": null}\n')
    assert [one.step for one in measure_run(sick.run_dir, "--run-dir").spectral_norms] == [3]
    assert "step-00000005: checkpoint skipped" in capsys.readouterr().err


def test_what_is_missing_has_its_reason(tmp_path: Path) -> None:
    there, gone = (task_of("bssn/figure4", name, tmp_path) for name in ("sn_w", "sn_conv"))
    with pytest.raises(TrainError, match="sn_conv seed 0: no whole checkpoint"):
        variance_curves(Figure(), [gone])
    keep(there, 5, change=math.nan)
    numbers = checked(variances_with_bounds(Figure(), [there, gone]))
    assert set(numbers["rows"]["SN_w"][0]["values"].values()) == {None}
    assert numbers["reasons"] == ["bssn/figure4/sn_conv seed 0: no whole checkpoint"]
    scaled = task_of("bssn/figure6", "sn_w_2", tmp_path)
    keep(scaled, 40, change=math.nan)
    with pytest.raises(TrainError, match="sn_w_2 seed 0, step 40: a weight's variance is 0 or not finite"):
        variance_against_scale(Figure(), [scaled])
