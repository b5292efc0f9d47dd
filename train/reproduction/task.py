"""One run of a row: how much of it is trained, where it is kept and how it is scored."""

import functools
import json
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER
from train.config import TrainConfig
from train.data.info import INFO_NAME, DatasetInfo
from train.errors import TrainError
from train.presets.load import config_to_dict, load_config
from train.presets.tables import Row, Table, Values
from train.reproduction.needs import Need
from train.run.checkpoint import Checkpoint, newest_checkpoint

SMOKE_STEPS = 5
SMOKE_CLASSES = 10
SMOKE_DATA_IMAGES = 40
SMOKE_DATA = "smoke-data"  # folder beside the runs
INTERVALS = 20  # of a run that a figure looks into; of a smoke test, two
SCORES = ["class_score", "frechet"]  # at intervals
# Under which a preset still runs all of its parts, in seconds on a CPU.
_SMALLEST = {
    **dict.fromkeys(("generator.channels", "discriminator.channels", "discriminator.embed_dim"), 4),
    **dict.fromkeys(("batch_total", "fakes_per_step"), 4),
    **dict.fromkeys(("steps", "sample_every", "save_every"), SMOKE_STEPS),
    "log_every": 1,
    "samples_per_class": 1,
}


def is_timed(row: Row) -> bool:
    """Return whether a row measures the time of its updates, all of which are needed then."""
    return "seconds_per_100_updates" in row.reported


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What is spent on every row.

    Args:
        name: "smoke": a few steps of narrow networks on drawn shapes, which shows that a row runs and nothing else;
            "short": `percent` (above 0, up to 100) of the row's updates on its data; "paper": all of them.
        seeds: runs of each row, seeds 0, 1, ...
        data_root: folder of the prepared data sets of "short" and "paper".
        overrides: further "key=value" settings of every row.
    """

    name: Literal["smoke", "short", "paper"]
    percent: float = 1.0
    seeds: int = 5
    data_root: Path = Path("data")
    overrides: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """End of a run folder's name: runs of different lengths share none, as their rates decay differently."""
        return {"smoke": "-smoke", "short": f"-short-{self.percent:g}", "paper": ""}[self.name]

    @property
    def status(self) -> str:
        """How much of a row it runs, as the results say it."""
        return {"smoke": "smoke", "short": f"short: {self.percent:g}% of the updates", "paper": "full"}[self.name]

    def status_of(self, row: Row) -> str:
        """Return how much of this row it runs: of one that is timed, all of it under "short" too."""
        return "full" if self.name == "short" and is_timed(row) else self.status

    def config(
        self,
        preset: str,
        *,
        seed: int,
        smoke_data: Path,
        needs: Collection[Need] = (),
        scores: Values | None = None,
        whole: bool = False,
    ) -> TrainConfig:
        """Return what is trained for one run of a row.

        Args:
            smoke_data: folder of the shapes that `runner.draw_smoke_data` draws, a data set a resolution.
            needs: what figures need of the run.
            scores: settings of `evaluation` for those taken at intervals; None takes none.
            whole: "short" runs all updates too, as of a row whose measurement they are (`is_timed`).
        Raises:
            TrainError: if an override does not fit.
        """
        config = load_config(preset)
        settings: dict[str, Any] = {"seed": seed, "trackers": "[]"}
        if self.name == "smoke":
            settings |= _SMALLEST | {"data.path": smoke_data / str(config.resolution)}
            settings["num_classes"] = SMOKE_CLASSES if config.num_classes else 0
            settings["decay_from"] = "null" if config.decay_from is None else 0
        else:
            settings["data.path"] = self.data_root / Path(config.data.path).name
        if self.name == "short" and not whole:
            steps = max(1, math.ceil(config.steps * self.percent / 100))
            settings |= {"steps": steps} | dict.fromkeys(("save_every", "sample_every"), max(1, steps // 20))
            if config.decay_from is not None:
                settings["decay_from"] = min(math.floor(config.decay_from * self.percent / 100), steps - 1)
        steps = settings.get("steps", config.steps)  # rounded up: as many saves as are kept, but for the last, or fewer
        every = steps // 2 if self.name == "smoke" else math.ceil(steps / INTERVALS)
        if "checkpoints" in needs:
            settings |= {"save_every": every, "keep_checkpoints": INTERVALS + 1}
        if "scores" in needs and scores is not None:
            settings |= {"evaluation.every": every, **scores}
        return load_config(preset, [*(f"{key}={value}" for key, value in settings.items()), *self.overrides])


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How runs are scored; what is not said here is as in `EvaluationConfig`.

    Args:
        extractor: None leaves scores out.
        weights_sha256: of the weights' file, so that another file at the same place gives new scores.
        missing: why there is no extractor, where there is none.
        fakes: None takes the protocol's number; so does `reals`.
    """

    extractor: str | None
    weights: str | None = None
    weights_sha256: str | None = None
    missing: str = ""
    fakes: int | None = None
    reals: int | None = None

    def during_training(self, protocol: str) -> Values | None:
        """Return the settings of `evaluation` that score as at the end of a run; None without an extractor."""
        if self.extractor is None:
            return None
        asked = {"protocol": protocol, "extractor": self.extractor, "weights": self.weights, "metrics": SCORES}
        counts = {"fakes": self.fakes, "reals": self.reals}
        return {f"evaluation.{key}": json.dumps(value) for key, value in (asked | counts).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One run of one row.

    Args:
        row: one with a preset, or of real data, of `table`.
        folder: holds all runs.
        needs: what figures need of the run.
    """

    table: Table
    row: Row
    seed: int
    budget: Budget
    scoring: Scoring
    folder: Path
    needs: frozenset[Need] = frozenset()

    @property
    def preset(self) -> str:
        """Name of the row's preset."""
        return self.table.preset(self.row)

    @property
    def run_dir(self) -> Path:
        """Folder of this run."""
        return self.folder / self.preset / f"seed-{self.seed}{self.budget.suffix}"

    @functools.cached_property
    def config(self) -> TrainConfig:
        """What is trained; of a row of real data, which trains nothing, there is none."""
        scores = self.scoring.during_training(self.table.paper.protocol)
        smoke_data = self.folder / SMOKE_DATA
        return self.budget.config(
            self.preset,
            seed=self.seed,
            smoke_data=smoke_data,
            needs=self.needs,
            scores=scores,
            whole=is_timed(self.row),
        )

    @property
    def resolution(self) -> int:
        """Side of its images in pixels."""
        return self.row.real.resolution if self.row.real else self.config.resolution

    @property
    def data_path(self) -> Path:
        """Folder of its prepared data set."""
        if self.row.real is None:
            return Path(self.config.data.path)
        if self.budget.name == "smoke":
            return self.folder / SMOKE_DATA / str(self.resolution)
        return self.budget.data_root / Path(self.row.real.path).name

    @property
    def validation_path(self) -> Path:
        """Folder of the images that it is not trained on: the test split, prepared beside the data set."""
        return self.data_path.with_name(f"{self.data_path.name}-test")

    def request(self) -> dict[str, Any]:
        """Return what the result depends on: a result made for another request does not count."""
        data = self.data_path / INFO_NAME
        images = DatasetInfo.read(data).sha256 if data.is_file() else None
        config = None if self.row.real else config_to_dict(self.config)
        return {"config": config, "scoring": asdict(self.scoring), "data_sha256": images}

    @property
    def checkpoint(self) -> Checkpoint:
        """Its newest whole checkpoint; a TrainError where there is none."""
        if (found := newest_checkpoint(self.run_dir / CHECKPOINTS_FOLDER, print)) is None:
            raise TrainError(f"{self.run_dir}: no whole checkpoint there")
        return found
