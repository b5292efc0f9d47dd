"""What a run's folder says of it beside its log and weights: record, scores, health; and what is not there, and why."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, FiniteFloat

from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER, checkpoint_folder, saved_steps
from sngan_cond.validation import one_line
from train.config import TrainConfig
from train.errors import TrainError
from train.monitor.record import HealthRecord, read_record
from train.presets.load import config_to_dict
from train.run.agreement import flat
from train.run.numerics import TRAINING_FILE
from train.run.provenance import without_folders
from train.run.scalars import SCALARS_FILE, log_lines
from train.sections import NotNegative
from train.stored import read_as

SCORES_FOLDER = "evaluations"  # of the run's
GENERATORS = ("ema", "generator")  # each has a file of scores a step, but for an average that is a copy
_READ = ConfigDict(strict=True, extra="ignore")  # a later version may say more


class Score(BaseModel):
    """A row of a `metrics.json`, as far as the page shows it."""

    model_config = _READ
    name: str
    value: FiniteFloat
    std: FiniteFloat | None = None
    std_over: str | None = None
    remark: str | None = None
    protocol: str
    extractor: str
    extractor_sha256: str | None = None
    real_count: NotNegative
    fake_count: NotNegative

    @property
    def conditions(self) -> tuple[object, ...]:
        """What two scores must have in common to be compared."""
        return self.protocol, self.extractor, self.extractor_sha256, self.real_count, self.fake_count


class _ScoreFile(BaseModel):
    model_config = _READ
    metrics: list[Score]


class Scored(NamedTuple):
    """The scores of one generator at one step."""

    step: int
    images_seen: int
    generator: str
    scores: list[Score]


class _Record(BaseModel):
    """A `training.json`, as far as the page shows it."""

    model_config = _READ
    commit: str | None = None
    data: dict[str, Any] = {}
    hardware: dict[str, Any] = {}
    numerics: dict[str, Any] = {}
    versions: dict[str, str] = {}
    init_from: dict[str, Any] | None = None
    rollbacks: NotNegative = 0


class Facts(NamedTuple):
    """What a page says of a run.

    Args:
        step: of the last line of its log.
        table: what was trained, on what and with what, in words.
        config: resolved, by dotted keys, without the folders of a machine.
        scored: by step, the averaged generator first.
        health: what the monitor found; None where its record cannot be read.
        missing: by the section of the page where one would look for it, lines that say what there is not, and why.
    """

    step: int
    table: dict[str, str]
    config: dict[str, Any]
    scored: list[Scored]
    health: HealthRecord | None
    missing: dict[str, list[str]]


def read_facts(folder: Path, config: TrainConfig) -> Facts:
    """Read what a run's folder says; what cannot be read is missing, and no error.

    Args:
        folder: of a run that has logged something.
    """
    missing: dict[str, list[str]] = {"facts": [], "scores": [], "health": []}
    *_, (_, last) = log_lines(folder / SCALARS_FILE)
    assert last is not None  # or `measure_run` had named the line
    record = _read_record(folder, missing["facts"])
    scored = _read_scores(folder, config, missing["scores"])
    health = None
    try:
        health = read_record(folder)
    except TrainError as error:
        missing["health"].append(f"What the monitor noted cannot be read: {within(folder, error)}")
    plain = without_folders(config_to_dict(config))
    return Facts(last["step"], _table(config, last, record), flat(plain), scored, health, missing)


def images_per_step(config: TrainConfig) -> int:
    """Return the real images shown to D in a step."""
    return config.d_updates_per_step * config.batch_total


def differences(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the keys in which some configurations differ.

    Args:
        configs: flat, by label.
    Returns:
        The value of each label by key; a key that one lacks is missing there.
    """
    keys = dict.fromkeys(key for config in configs.values() for key in config)
    lacking = object()
    return {
        key: {label: config[key] for label, config in configs.items() if key in config}
        for key in keys
        if any(
            config.get(key, lacking) != next(iter(configs.values())).get(key, lacking) for config in configs.values()
        )
    }


def within(folder: Path, error: object) -> str:
    """Return a reason in one line that names files from the run's folder on."""
    return one_line(str(error).replace(f"{folder}{os.sep}", ""), 300, more="…")


def _read_record(folder: Path, missing: list[str]) -> _Record:
    """Read the run's record, or the newest checkpoint's copy of it."""
    checkpoints = folder / CHECKPOINTS_FOLDER
    places = [folder, *(checkpoint_folder(checkpoints, step) for step in reversed(saved_steps(checkpoints)))]
    for place in places:
        if not (place / TRAINING_FILE).exists():
            continue
        try:
            return read_as(_Record, place / TRAINING_FILE)
        except TrainError as error:
            missing.append(within(folder, error))
    if not missing:
        missing.append(f"There is no {TRAINING_FILE}")
    missing[-1] += "; so nothing is known of data set, hardware, versions and commit"
    return _Record()


def _read_scores(folder: Path, config: TrainConfig, missing: list[str]) -> list[Scored]:
    root, found = folder / SCORES_FOLDER, []
    for step in saved_steps(root):
        for generator in GENERATORS if config.ema.decay else GENERATORS[1:]:
            path = checkpoint_folder(root, step) / f"{generator}.json"
            try:
                scores = read_as(_ScoreFile, path).metrics
            except TrainError as error:
                missing.append(within(folder, error))
            else:
                found.append(Scored(step, step * images_per_step(config), generator, scores))
    if not found and not missing:
        asked = f"evaluation.every={config.evaluation.every}"
        why = f", but {SCORES_FOLDER}/ has no step yet" if config.evaluation.every else " scores no step"
        missing.append(f"There are no scores: {asked}{why}")
    return found


def _table(config: TrainConfig, last: Mapping[str, Any], record: _Record) -> dict[str, str]:
    classes = f"{config.num_classes:,} classes" if config.num_classes else "no classes"
    unknown = "not known"
    data, numerics = flat(without_folders(record.data)), record.numerics
    source = " ".join(str(data[key]) for key in ("source", "split") if data.get(key) not in (None, "null"))
    images = f"{source}, {data['count']:,} images" if isinstance(data.get("count"), int) else source
    hardware = [str(record.hardware[key]) for key in ("device", "name") if record.hardware.get(key)]
    hardware += [f"{key} {record.hardware[key]}" for key in ("processes", "threads") if key in record.hardware]
    precision = str(numerics.get("precision", unknown)) + (", products in TF32" if numerics.get("tf32") else "")
    facts = {
        "steps": f"{last['step']:,} of {config.steps:,}" + ("" if last["step"] >= config.steps else " (not ended)"),
        "real images seen by D": f"{last['images_seen']:,}",
        "time": duration(last["seconds"]) if isinstance(last.get("seconds"), int | float) else unknown,
        "networks": f"{config.architecture}, {config.resolution} px, {classes}, head {config.discriminator.head}",
        "constraint on D": config.constraint.kind,
        "data set": images or unknown,
        **{f"sha256 of {name}": str(data.get(f"sha256.{name}", unknown)) for name in ("images.npy", "labels.npy")},
        "device": ", ".join(hardware) or unknown,
        "precision": precision,
        "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()) or unknown,
        "commit": record.commit or unknown,
    }
    if record.init_from:
        start = flat(without_folders(record.init_from))
        facts["started from"] = ", ".join(f"{key} {value}" for key, value in start.items() if value != "null")
    if record.rollbacks:
        facts["rollbacks"] = str(record.rollbacks)
    return facts


def duration(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return " ".join([f"{hours:,} h"] * (hours > 0) + [f"{minutes} min"] * (hours + minutes > 0) + [f"{rest} s"])
