"""How much of a row is run: a smoke test of its mechanics, a percentage of its updates, or all of them."""

import dataclasses
import math
from pathlib import Path
from typing import Any, Literal

from train.config import TrainConfig
from train.presets.load import load_config
from train.presets.tables import Row, Table

BudgetName = Literal["smoke", "short", "paper"]

SMOKE_STEPS = 5
SMOKE_CHANNELS = 4
SMOKE_IMAGES = 4
SMOKE_CLASSES = 10
SMOKE_DATA_IMAGES = 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What is spent on every row.

    Args:
        name: "smoke": a few steps of narrow networks on drawn shapes, which shows that a row runs and nothing else;
            "short": `percent` of the row's updates on its data; "paper": all of them.
        percent: of the updates under "short", above 0 and up to 100.
        seeds: runs of each row, seeds 0, 1, ...
        data_root: folder of the prepared data sets of "short" and "paper".
        overrides: further "key=value" settings of every row.
    """

    name: BudgetName
    percent: float = 1.0
    seeds: int = 5
    data_root: Path = Path("data")
    overrides: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """End of a run folder's name: runs of different lengths share none, as their rates decay differently."""
        return {"smoke": "-smoke", "short": f"-short-{self.percent:g}", "paper": ""}[self.name]


def row_config(table: Table, row: Row, budget: Budget, *, seed: int, smoke_data: Path) -> TrainConfig:
    """Return what is trained for one run of a row.

    Args:
        row: one with a preset, of `table`.
        smoke_data: folder of the shapes that `runner.draw_smoke_data` draws, a data set a resolution.
    Raises:
        TrainError: if an override does not fit.
    """
    preset = table.preset(row)
    config = load_config(preset)
    settings: dict[str, Any] = {"seed": seed, "trackers": "[]"}
    if budget.name == "smoke":
        settings |= _smallest(config) | {"data.path": smoke_data / str(config.resolution)}
    else:
        settings["data.path"] = budget.data_root / Path(config.data.path).name
    if budget.name == "short":
        settings |= _shortened(config, budget.percent)
    return load_config(preset, [*(f"{key}={value}" for key, value in settings.items()), *budget.overrides])


def _smallest(config: TrainConfig) -> dict[str, Any]:
    """Return the settings under which a preset still runs all of its parts, in seconds on a CPU."""
    return {
        "generator.channels": SMOKE_CHANNELS,
        "discriminator.channels": SMOKE_CHANNELS,
        "discriminator.embed_dim": SMOKE_CHANNELS,
        "num_classes": SMOKE_CLASSES if config.num_classes else 0,
        "steps": SMOKE_STEPS,
        "decay_from": "null" if config.decay_from is None else 0,
        "batch_total": SMOKE_IMAGES,
        "fakes_per_step": SMOKE_IMAGES,
        "samples_per_class": 1,
        "log_every": SMOKE_STEPS,
        "sample_every": SMOKE_STEPS,
        "save_every": SMOKE_STEPS,
    }


def _shortened(config: TrainConfig, percent: float) -> dict[str, Any]:
    steps = max(1, math.ceil(config.steps * percent / 100))
    decay_from: object = "null"
    if config.decay_from is not None:
        decay_from = min(math.floor(config.decay_from * percent / 100), steps - 1)
    often = max(1, steps // 20)
    return {"steps": steps, "decay_from": decay_from, "save_every": often, "sample_every": often}
