"""A run knows its data by the checksums of the prepared set, wherever that lies."""

from collections.abc import Mapping
from typing import Any

from accelerate.utils import gather_object

from train.config import TrainConfig
from train.data.dataset import PreparedDataset
from train.data.info import IMAGES_NAME, counted
from train.errors import DataError, TrainError
from train.run.run import Run

READ_WHOLE = 1 << 28  # bytes of images that every start reads and sums up; of more, only when the file has changed
_MODIFIED = "modified_ns"


def open_data(config: TrainConfig, *, verify: bool) -> PreparedDataset:
    """Open the prepared data set of a run and check that it fits.

    Args:
        verify: read every byte also of a large one.
    Raises:
        DataError: if it cannot be used.
        TrainError: if it does not fit the configuration.
    """
    try:
        dataset = PreparedDataset.open(config.data.path)
        dataset.verify(images=verify or dataset.images.nbytes <= READ_WHOLE)
    except DataError as error:
        raise DataError(f"data.path={error}") from error
    if dataset.resolution != config.resolution:
        raise TrainError(
            f"data.path={config.data.path}: images of {dataset.resolution} px, resolution={config.resolution}; --set "
            f"resolution={dataset.resolution} fits, or another folder of train.prepare --resolution {config.resolution}"
        )
    if config.num_classes and dataset.num_classes != config.num_classes:
        raise TrainError(
            f"data.path={config.data.path}: {counted(dataset.num_classes, 'class')}, num_classes={config.num_classes}; "
            f"--set num_classes={dataset.num_classes} fits"
        )
    return dataset


def noted(dataset: PreparedDataset) -> dict[str, str | int]:
    """Return what a checkpoint keeps of its data set."""
    return {**dataset.info.identity(), _MODIFIED: (dataset.folder / IMAGES_NAME).stat().st_mtime_ns}


def check_data(run: Run, dataset: PreparedDataset, before: Mapping[str, str | int] | None, *, step: int) -> str:
    """Refuse other data than a run was trained on.

    Args:
        before: as `noted` returned it when its checkpoint was saved; None in those of an earlier version.
        step: at which the run goes on.
    Returns:
        What they are, for people.
    Raises:
        TrainError: if they are others, or processes do not have the same.
        DataError: if a file has changed.
    """
    now, path = dataset.info.identity(), run.config.data.path
    run.watch.meet()
    if run.world_size > 1 and any(other != now for other in gather_object([now])):
        raise TrainError(f"data.path={path}: processes have unlike data sets; equal ones are allowed")
    if before is not None:
        unlike = [key for key, value in now.items() if before.get(key) != value]
        if unlike:
            raise TrainError(
                f"data.path={path}: not the data that the run was trained on: there {_say(now, unlike)}, and in its "
                f"checkpoint {_say(before, unlike)}; give those, wherever they lie, or another --run-dir"
            )
        if dataset.images.nbytes > READ_WHOLE and before.get(_MODIFIED) != noted(dataset)[_MODIFIED]:
            run.print(f"data.path={path}: {IMAGES_NAME} was copied or changed since; all of it is read")
            dataset.verify()
    said = f"data: {counted(len(dataset), 'image')}, {IMAGES_NAME} of sha256 {now[IMAGES_NAME]:.12}"
    if before is None and step:
        if (was := run.config_before.data.path) != path:
            raise TrainError(
                f"--run-dir {run.folder}: its checkpoints do not say what they were trained on, so data.path={was} is "
                f"allowed, not {path}; any other once it has saved again"
            )
        said += "; the checkpoints do not say what they were trained on, and will from the next one on"
    return said


def facts(dataset: PreparedDataset, config: TrainConfig) -> dict[str, Any]:
    """Return what the training record says of the data."""
    keys = ("source", "split", "resolution", "count", "preparation", "sha256")
    held_out = {"held_out": config.data.held_out} if config.data.held_out else {}
    return {key: value for key in keys if (value := getattr(dataset.info, key)) is not None} | held_out


def _say(identity: Mapping[str, str | int], keys: list[str]) -> str:
    shown = {"count", *keys}
    return ", ".join(f"{key} {value!s:.12}" for key, value in identity.items() if key in shown)
