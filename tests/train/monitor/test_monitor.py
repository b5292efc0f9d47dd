"""What is a symptom, by numbers on both sides of each limit, and when one is believed."""

import re
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from sngan_cond.config import LossConfig
from tests.processes import ROOT
from train.config import TrainConfig
from train.monitor.monitor import Finding, Monitor, MonitorState
from train.monitor.symptoms import Symptom, symptoms_of

WELL = {
    "d/loss": 1.3,
    "d/score_real": 0.6,
    "d/score_fake": -0.4,
    "d/score_spread": 0.5,
    "d/gradient_norm": 4.0,
    "g/gradient_norm": 2.0,
    "usual/d/gradient_norm": 8.0,
    "most/d/gradient_norm": 11.0,
    "usual/g/gradient_norm": 3.0,
    "most/g/gradient_norm": 5.0,
    "highest/g/gradient_norm": 6.0,
    "monitor/latent_diversity": 0.6,
    "monitor/class_diversity": 0.2,
    "monitor/diversity": 0.7,
    "monitor/d_moves": 1.0,
    "monitor/g_moves": 0.1,
    "monitor/chance_of_labels": 0.005,
    "monitor/overfit": 0.2,
}
# Of each symptom: numbers that just show it, how one of them just does not, and the loss where it is not the hinge.
LIMITS = [
    ("same_scores", {"d/score_spread": 0.9e-5}, {"d/score_spread": 1.1e-5}, "hinge"),
    ("same_scores", {"d/score_spread": 5e-4, "d/score_fake": -60.0}, {"d/score_fake": -40.0}, "hinge"),
    ("same_scores", {"d/score_spread": 5e-6}, {"d/score_spread": 7e-6}, "wasserstein"),
    ("loss_zero", {"d/loss": 0.009}, {"d/loss": 0.011}, "non_saturating"),
    ("latents_alike", {"monitor/latent_diversity": 0.009}, {"monitor/latent_diversity": 0.011}, "hinge"),
    ("classes_alike", {"monitor/class_diversity": 0.0009}, {"monitor/class_diversity": 0.0011}, "hinge"),
    ("classes_alike", {"monitor/class_diversity": 0.0}, {"monitor/latent_diversity": 0.0}, "hinge"),
    ("low_diversity", {"monitor/diversity": 0.09}, {"monitor/diversity": 0.11}, "hinge"),
    ("low_diversity", {"monitor/diversity": 0.0}, {"monitor/latent_diversity": 0.0}, "hinge"),
    ("labels", {"monitor/chance_of_labels": 0.015}, {"monitor/chance_of_labels": 0.01}, "hinge"),
    ("memorises", {"monitor/overfit": 0.51}, {"monitor/overfit": 0.49}, "hinge"),
    ("d_stands_still", {"monitor/d_moves": 0.0}, {"monitor/d_moves": 0.02}, "hinge"),
    ("g_stands_still", {"monitor/g_moves": 0.0}, {"g/gradient_norm": 0.0}, "hinge"),
    ("d_vanishes", {"d/gradient_norm": 7e-5}, {"d/gradient_norm": 9e-5}, "hinge"),
    ("d_vanishes", {"d/gradient_norm": 0.0}, {"d/loss": 0.0}, "ebgan"),
    ("g_vanishes", {"g/gradient_norm": 0.0}, {"d/score_spread": 0.0}, "hinge"),
    ("g_fades", {"g/gradient_norm": 0.19}, {"g/gradient_norm": 0.21}, "hinge"),
    ("g_fades", {"g/gradient_norm": 0.1}, {"g/gradient_norm": 2e-5}, "hinge"),  # which is another symptom
    ("g_fades", {"g/gradient_norm": 0.1}, {"d/loss": 0.0}, "minimax"),
    ("g_explodes", {"g/gradient_norm": 501.0}, {"g/gradient_norm": 499.0}, "hinge"),
    ("d_explodes", {"d/gradient_norm": 1101.0}, {"most/d/gradient_norm": 0.0}, "hinge"),
    ("not_finite", {"first_not_finite": 7.0}, {}, "hinge"),
]


@pytest.mark.parametrize(("name", "shows", "does_not", "kind"), LIMITS)
def test_a_symptom_is_seen_on_one_side_of_its_limit(
    name: str, shows: dict[str, float], does_not: dict[str, float], kind: str
) -> None:
    symptom = symptoms_of(replace(TrainConfig(), loss=LossConfig(kind=kind)))[name]  # type: ignore[arg-type]
    assert symptom.seen(WELL | shows)
    if does_not:
        assert symptom.seen(WELL | shows | does_not) is None


def test_losses_without_a_floor_have_no_loss_at_zero() -> None:
    for kind in ("wasserstein", "began"):
        symptoms = symptoms_of(replace(TrainConfig(), loss=LossConfig(kind=kind)))  # type: ignore[arg-type]
        assert "loss_zero" not in symptoms
        assert symptoms["d_vanishes"].seen(WELL | {"d/loss": -3.0, "d/gradient_norm": 0.0})


HOT = Symptom("it is hot", "wait", ("heat",), lambda n: f"{n['heat']:g} degrees" if n["heat"] > 30 else None, lasts=20)
DRY = Symptom("it is dry", "wait", ("rain",), lambda n: "no rain" if n["rain"] == 0 else None, lasts=0, mends=False)
LINES = [
    (10, {"heat": 20.0}),
    (20, {"heat": 31.0, "rain": 0.0}),
    (25, {"heat": 32.0}),
    (30, {"heat": 33.0, "rain": 0.0}),
    (35, {"rain": 0.0}),  # nothing about heat
    (40, {"heat": 34.0}),  # 20 steps, and the fourth line that shows it
    (50, {"heat": 35.0}),
    (60, {"heat": 29.0}),
    (70, {"heat": 36.0, "rain": 1.0}),
]


def test_a_symptom_is_believed_once_it_lasts_and_until_it_is_gone() -> None:
    """Whether or not the run is killed between any two lines."""
    monitor = Monitor({"hot": HOT, "dry": DRY}, MonitorState())
    found, seen = [], []
    for step, numbers in LINES:
        found += monitor.see(step, numbers)
        seen.append((step, list(monitor.state.found), monitor.state.healthy, monitor.mendable))
        state = TypeAdapter(MonitorState).dump_json(monitor.state)
        monitor = Monitor(monitor.symptoms, TypeAdapter(MonitorState).validate_json(state))
    assert found == [Finding("dry", 35, 20, "no rain"), Finding("hot", 40, 20, "34 degrees")]
    assert seen == [
        (10, [], 10, False),
        (20, [], 10, False),
        (25, [], 10, False),
        (30, [], 10, False),
        (35, ["dry"], 10, False),
        (40, ["dry", "hot"], 10, True),
        (50, ["dry", "hot"], 10, True),
        (60, ["dry"], 60, False),
        (70, [], 60, False),
    ]


def test_a_norm_is_compared_with_those_of_the_last_lines_that_were_well() -> None:
    monitor = Monitor(symptoms_of(TrainConfig()), MonitorState())
    well = {key: value for key, value in WELL.items() if key.startswith(("d/", "g/"))}
    assert not monitor.see(1, well | {"g/gradient_norm": 1e9})  # there is nothing to compare it with
    for step in range(2, 60):
        assert not monitor.see(step, well | {"g/gradient_norm": 2.0 + step % 3})
    found = [monitor.see(step, well | {"g/gradient_norm": 401.0}) for step in range(60, 90)]
    assert [[(f.symptom, f.since) for f in each] for each in found if each] == [[("g_explodes", 60)]]
    assert found[20][0].evidence == "its norm is 401, where it was up to 4 before"


@pytest.mark.parametrize(("halves_every", "found"), [(20, [("g_fades", 400, 600)]), (100, [])])
def test_a_gradient_that_fades_slowly_is_compared_with_what_it_once_was(
    halves_every: int, found: list[tuple[str, int, int]]
) -> None:
    """From step 300 on, so that no line is far from those before it; by step 400 the quick one is at a 32nd."""
    monitor = Monitor(symptoms_of(TrainConfig()), MonitorState())
    well = {key: value for key, value in WELL.items() if key.startswith(("d/", "g/"))}
    seen = []
    for step in range(0, 601, 10):
        norm = 1e4 if step < 50 else 6.0 * 0.5 ** (max(step - 300, 0) / halves_every)  # a run's first steps are wild
        seen += monitor.see(step, well | {"g/gradient_norm": norm})
    assert [(each.symptom, each.since, each.step) for each in seen] == found


def test_the_documentation_has_each_symptom_and_how_long_it_must_last() -> None:
    section = (ROOT / "docs/train.md").read_text().partition("## A run tells how it does")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]*[a-z0-9]) \| ([^|]*) \|", section, re.MULTILINE)[1:]  # the first is the head
    documented = {says: [int(steps) for steps in re.findall(r"\((\d+) steps\)", what)] for says, what in rows}
    both = {}
    for symptom in symptoms_of(TrainConfig()).values():
        both[re.sub("^[DG]'s (gradient|weights)", r"D's, or G's, \1", symptom.says)] = [symptom.lasts]
    del both["loss or gradient is not finite"]  # after which no run lasts
    assert documented == {**both, "the labels say nothing about the images": []}  # which one look tells
