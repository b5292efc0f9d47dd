"""Curves of a table's runs: drawn of what ran, the right way up."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.train.test_reproduce import task_of
from train.reproduction import curves
from train.reproduction.curves import plot_curves
from train.reproduction.runner import run_tasks
from train.reproduction.task import SMOKE_STEPS


@pytest.mark.slow
def test_curves_are_drawn_of_what_ran(tmp_path: Path) -> None:
    rows = (("bssn/figure2", "sn"), ("sngan/figure1", "cifar10_spectral_norm_C"))
    tasks = [task_of(*row, tmp_path) for row in rows]
    plot_curves(tmp_path, tasks)
    assert not list(tmp_path.glob("curves-*.png"))
    for _task, result in run_tasks(tasks, jobs=1, log=print):
        assert result.steps == SMOKE_STEPS
    with (tasks[1].run_dir / "scalars.jsonl").open("a") as log:  # a run that diverged, and one that is being written
        log.write('{"step": 6, "images_seen": 24, "d/score_real": null, "d/score_fake": NaN}\n{"step": 7, "ima')
    plot_curves(tmp_path, tasks)
    colours = {}
    for name in ("bssn-figure2", "sngan-figure1"):
        with Image.open(tmp_path / f"curves-{name}.png") as image:
            found = image.convert("RGB").getcolors(1 << 24) or []
        colours[name] = sum(
            count for count, (red, green, blue) in found if max(red, green, blue) > min(red, green, blue) + 60
        )
    assert min(colours.values()) > 0  # eight layers, and one run
    others = replace(tasks[1], budget=replace(tasks[1].budget, overrides=("optim_d.lr=0.5",)))
    plot_curves(tmp_path / "others", [others])  # the folder's run is not theirs
    assert not (tmp_path / "others").exists()


def test_scores_are_drawn_real_minus_fake(tmp_path: Path) -> None:
    task = task_of("sngan/figure1", "cifar10_spectral_norm_C", tmp_path)
    task.run_dir.mkdir(parents=True)
    lines = [{"step": i, "images_seen": 8 * i, "d/score_real": 2.0 + i, "d/score_fake": -1.5 * i} for i in (1, 2)]
    (task.run_dir / "scalars.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    axes = Figure().subplots()
    curves._scores(axes, [task])
    (line,) = axes.lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([8, 16], [4.5, 7.0])
