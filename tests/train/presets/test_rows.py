"""The rows of the papers' tables: their configurations and notes are the papers', and every preset trains."""

import hashlib
import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sngan_cond import Discriminator, Generator, build_constraint
from sngan_cond.objectives import (
    DiscriminatorBatch,
    discriminator_objective,
    generator_objective,
    initial_objective_state,
    next_objective_state,
)
from tests.reference import architectures as tables
from tests.reference.architectures import count
from tests.refusals import refused
from tests.train.launch import float64_on_the_cpu, weights
from tests.train.trainer.reference_run import ReferenceRun, source
from train.config import TrainConfig
from train.errors import TrainError
from train.presets.index import TABLES, find_tables
from train.presets.load import config_to_dict, load_config, preset_names, preset_notes
from train.presets.tables import Row, Table
from train.reproduction.runner import draw_smoke_data
from train.reproduction.task import Budget
from train.trainer.loop import train
from train.trainer.samples import SampleGrids

ROWS = [(table, row) for table in TABLES for row in table.rows if row.base is not None]
# What each base's networks have by the paper's tables: generator, discriminator.
COUNTS = {
    "sngan/base/cnn_cifar10": (tables.cnn_generator(4), tables.cnn_discriminator(4)),
    "sngan/base/cnn_stl10": (tables.cnn_generator(6), tables.cnn_discriminator(6)),
    "sngan/base/resnet_cifar10": (tables.RESNET_32_G, tables.resnet_32_d(128, "nobias")),
    "sngan/base/resnet_stl10": (tables.RESNET_48_G, tables.RESNET_48_D),
    "sngan/base/wgan_gp_resnet": (tables.GULRAJANI_G, tables.resnet_32_d(128, "")),
    "sngan/base/imagenet_unconditional": (tables.RESNET_128_G, tables.RESNET_128_D),
    "report/base/cnn_cifar10": (tables.cnn_generator(4), tables.cnn_discriminator(4)),
    "report/base/sngan_128": (tables.cnn_generator(16, latent=100), tables.cnn_discriminator(16)),
    "bssn/base/cnn_cifar10": (tables.cnn_generator(4), tables.cnn_discriminator(4)),
    "bssn/base/cnn_stl10": (tables.cnn_generator(6), tables.cnn_discriminator(6)),
    "bssn/base/cnn_celeba": (tables.cnn_generator(8), tables.cnn_discriminator(8)),
    "bssn/base/resnet_imagenet": (tables.RESNET_128_G, tables.BSSN_128_D),
    "bssn/base/mnist": (tables.MNIST_G, tables.MNIST_D),
}


def test_every_preset_resolves_as_it_did() -> None:
    """Of 399 rows, their 17 bases and 13 files what differs from the defaults, and the defaults, frozen as sha256.

    Together they are the configurations as they were when each was a file. A new field changes the defaults alone.
    """
    assert len(ROWS) == 399
    defaults = config_to_dict(TrainConfig())
    of_all = {name: config_to_dict(load_config(name, count_classes=lambda _: 4)) for name in preset_names()}
    values = {name: differences(config, defaults) for name, config in of_all.items()}
    values["TrainConfig()"] = defaults
    texts = {name: json.dumps(value, sort_keys=True) for name, value in values.items()}
    found = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    frozen = json.loads((Path(__file__).parents[2] / "reference" / "presets.json").read_text())
    lines = [f' "{name}": "{digest}",' for name, digest in found.items() if frozen.get(name) != digest]
    assert found == frozen, "\n".join(["lines for tests/reference/presets.json:", *lines])


def differences(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {
        key: differences(value, defaults[key]) if isinstance(value, dict) else value
        for key, value in values.items()
        if value != defaults[key]
    }


def test_every_row_says_paper_table_row_and_number() -> None:
    for table, row in ROWS:
        notes = preset_notes(table.preset(row))
        assert max(map(len, notes)) <= 118 or any(line.startswith(("Data:", "Run:")) for line in notes)
        for word in ("Paper:", "Table:", "Row:", "Reported:", "Data:", "Run:"):
            assert any(line.startswith(word) for line in notes), table.preset(row)
        words = " ".join(" ".join(notes).split())
        assert all(score in words for score in row.reported.values())
        assert " ".join(row.note.split()) in words
        assert set(row.reported) <= set(table.metrics)


def test_names_are_unique() -> None:
    names = [table.preset(row) for table, row in ROWS]
    assert len(names) == len(set(names))
    assert len({table.key for table in TABLES}) == len(TABLES)
    assert all(row.base is not None or row.real is not None or row.absent for table in TABLES for row in table.rows)


@pytest.mark.parametrize("base", COUNTS)
def test_networks_have_the_parameters_of_the_papers_tables(base: str) -> None:
    config = load_config(base)
    with torch.device("meta"):
        pair = Generator(config.generator), Discriminator(config.discriminator)
    sizes = tuple(sum(parameter.numel() for parameter in network.parameters()) for network in pair)
    assert sizes == tuple(count(rows) for rows in COUNTS[base])


def test_optimisers_are_the_papers() -> None:
    """Table 1 of Miyato et al. and Table 7 of Lin et al., once more by hand."""
    hand = {
        "sngan/figure1/cifar10_spectral_norm_A": (1e-4, 1e-4, 0.5, 0.9, 5),
        "sngan/figure1/cifar10_spectral_norm_B": (1e-4, 1e-4, 0.5, 0.999, 1),
        "sngan/figure1/stl10_wgan_gp_C": (2e-4, 2e-4, 0.5, 0.999, 1),
        "sngan/figure1/stl10_weight_norm_D": (1e-3, 1e-3, 0.5, 0.9, 5),
        "sngan/figure1/cifar10_batch_norm_E": (1e-3, 1e-3, 0.5, 0.999, 5),
        "sngan/figure1/cifar10_orthonormal_F": (1e-3, 1e-3, 0.9, 0.999, 5),
        "sngan/table8/baseline": (2e-4, 2e-4, 0.0, 0.9, 5),
        "bssn/table6/stl10_sn_1": (1e-4, 1e-4, 0.5, 0.9, 5),
        "bssn/table6/celeba_bsn_4": (1e-4, 2e-4, 0.5, 0.999, 1),
        "bssn/table6/cifar10_sn_diff_gamma_5": (2e-4, 1e-4, 0.5, 0.999, 1),
        "bssn/table1/imagenet_bsn_1.2": (2e-4, 2e-4, 0.0, 0.9, 5),
        "report/table1/sngan_A": (1e-3, 4e-3, 0.5, 0.9, 1),
    }
    for name, expected in hand.items():
        c = load_config(name)
        found = (c.optim_g.lr, c.optim_d.lr, c.optim_d.beta1, c.optim_g.beta2, c.d_updates_per_step)
        assert found == pytest.approx(expected), name
        assert (c.optim_g.beta1, c.optim_g.beta2) == (c.optim_d.beta1, c.optim_d.beta2)


def test_updates_are_the_papers() -> None:
    hand = {
        "sngan/figure1/cifar10_weight_clipping_A": 100_000,
        "sngan/table2/stl10_spectral_norm_hinge_2x": 200_000,
        "sngan/figure13/projection_spectral_norm": 450_000,
        "bssn/table1/cifar10_sn_1": 400_000,
        "bssn/table1/stl10_bsn_1": 800_000,
        "bssn/table6/stl10_sn_1": 400_000,
        "bssn/table6/stl10_sn_2": 800_000,
        "bssn/table6/stl10_sn_same_gamma_2": 400_000,
        "bssn/table1/imagenet_sn_1.6": 500_000,
    }
    assert {name: load_config(name).steps for name in hand} == hand


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("sngan/table2", ["sngan/table2"]),
        ("table2", ["sngan/table2"]),
        ("figure6", ["bssn/figure6"]),
        ("report", ["report/table1", "report/figure1"]),
    ],
)
def test_tables_are_found_by_name(name: str, keys: list[str]) -> None:
    assert [table.key for table in find_tables(name)] == keys
    assert find_tables("all") == TABLES


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("table1", "--table table1: several are called so: projection/table1, report/table1, bssn/table1"),
        # drawn of bssn/table6's runs, by --figure
        ("figure55", "--table figure55: no such table; did you mean figure5"),
        ("tabel2", "--table tabel2: no such table; did you mean table2"),
    ],
)
def test_unclear_names_are_refused(name: str, message: str) -> None:
    refused(lambda: find_tables(name), message, by=TrainError)


PARTS = 4  # so that several test processes share the work
# Rates that move no weight, though every update is made: what a run has at its end can be built by hand, and presets
# that differ in their optimisers alone are trained once. So are those that differ in their scale alone, a factor that
# `test_every_preset_resolves_as_it_did` holds: at the last one.
STILL = [
    *("steps=1", "log_every=1", "decay_from=null"),
    *(f"optim_{g}.{key}" for g in "gd" for key in ("lr=1e-30", "beta1=0.5", "beta2=0.9")),
]


def part_of(part: int) -> list[tuple[Table, Row]]:
    """Rows of a part; those of one method, which differ in their optimisers or their scale, stay together."""
    methods = [re.sub(r"_([A-F]|[\d.]+)$", "", table.preset(row)) for table, row in ROWS]
    mine = set(sorted(set(methods))[part::PARTS])
    return [row for row, method in zip(ROWS, methods, strict=True) if method in mine]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_preset_builds_and_scores_what_it_says(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in the loop itself, narrow, on drawn data: its networks are built and its objectives called by hand."""
    monkeypatch.setattr(SampleGrids, "save", lambda *_: None)  # of other tests; half of the time here
    rows = part_of(part)
    data = tmp_path / "data"
    draw_smoke_data(data, {load_config(table.preset(row)).resolution for table, row in rows})
    budget = Budget(name="smoke", overrides=tuple(STILL))
    runs = {}
    for table, row in rows:
        config = budget.config(table.preset(row), seed=3, smoke_data=data)
        runs[replace(config, constraint=replace(config.constraint, scale=1.0))] = table.preset(row), config
    with float64_on_the_cpu():
        for name, config in runs.values():
            check_first_step(config, name, tmp_path / name)


def check_first_step(config: TrainConfig, name: str, folder: Path) -> None:
    assert train(config, folder).step == 1, name
    by_hand = ReferenceRun(asdict(config), Path(config.data.path))
    logged = first_losses(config, by_hand)
    (line,) = map(json.loads, (folder / "scalars.jsonl").read_text().splitlines())
    # What objectives return; gradients are compared in test_reference_run. In float32, which is 6e-8 of a value.
    parts = {key: line[key] for key in line if key[:2] in ("g/", "d/") and not key.endswith("/gradient_norm")}
    assert parts == pytest.approx(logged, rel=1e-6, abs=1e-12)
    found = weights(folder / "checkpoints/step-00000001")
    for file, network in zip(("generator", "discriminator"), by_hand.replicas[0], strict=True):
        ours = {key.partition(":")[2]: t for key, t in found.items() if key.startswith(file)}
        assert ours.keys() == network.state_dict().keys(), name
        for key, tensor in network.state_dict().items():  # u and statistics moved, in another order of sums
            torch.testing.assert_close(ours[key], tensor, rtol=1e-7, atol=1e-9, msg=f"{name}: {key}")


@pytest.mark.slow
def test_every_optimiser_trains_five_steps(tmp_path: Path) -> None:
    """At its own rates, on the first preset that has it; losses stay finite."""
    data, seen = tmp_path / "data", set()
    for table, row in ROWS:
        config = Budget(name="smoke").config(table.preset(row), seed=0, smoke_data=data)
        optimiser = (config.optim_g, config.optim_d, config.d_updates_per_step, config.loss.kind)
        if optimiser not in seen:
            seen.add(optimiser)
            draw_smoke_data(data, {config.resolution})
            assert train(config, tmp_path / table.preset(row)).step == 5
            log = (tmp_path / table.preset(row) / "scalars.jsonl").read_text().splitlines()
            assert all(math.isfinite(value) for value in json.loads(log[-1]).values()), table.preset(row)
    assert len(seen) > 20


def first_losses(config: TrainConfig, run: ReferenceRun) -> dict[str, float]:
    """Call the library's objectives of the first step as the papers order them, without any update between."""
    (G, D), constraint = run.replicas[0], build_constraint(config.constraint)
    state = initial_objective_state(config.loss)
    objectives = {"g": generator_objective(D, G, *run.fakes("g", 0), loss=config.loss)}
    for update in range(config.d_updates_per_step):
        objectives["d"] = discriminator_objective(
            D,
            G,
            DiscriminatorBatch(*run.reals(update), *run.fakes("d", update)),
            loss=config.loss,
            constraint=constraint,
            rng=source(config.seed, "penalty", update, 0),
            state=state,
        )
        constraint.after_step(D)
        state = next_objective_state(state, objectives["d"].parts, loss=config.loss)
    return {
        f"{letter}/{part}": float(value)
        for letter, objective in objectives.items()
        for part, value in {**objective.parts, "total": objective.total.detach()}.items()
    }
