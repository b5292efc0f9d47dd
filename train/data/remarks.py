"""What a user should know about a data set and a run on it before hours of training show it."""

from collections.abc import Iterator
from typing import get_args

from sngan_cond.config import Architecture, official_channels
from sngan_cond.validation import short_repr
from train.config import TrainConfig
from train.data.info import DatasetInfo

ALIKE = 10  # times as many images as the smallest class, up to which the largest is taken to be of its size
ENOUGH = 100  # images of a class, below which D soon knows each of them
_FAKES = {
    "uniform": "labels of fakes are uniform (data.fake_labels=data: as frequent as the images)",
    "data": "labels of fakes are as frequent as the images (data.fake_labels=uniform: all equally)",
}
_REALS = {
    "none": "real batches show all images equally often (data.balance=classes: all classes)",
    "classes": "real batches show all classes equally often (data.balance=none: all images)",
}


def remarks(info: DatasetInfo, config: TrainConfig) -> list[str]:
    """Return lines: no network of this size, classes that differ much, few images of any, rates that never fall.

    Args:
        config: of the run, or the defaults.
    """
    sizes = list(zip(info.images_per_class, info.class_names, strict=True)) or [(info.count, "")]
    (least, smallest), (most, largest) = min(sizes), max(sizes)
    lines = [*_resolution(info.resolution, config)]
    if most > ALIKE * least and config.num_classes:
        lines.append(
            f"classes differ in size: {short_repr(largest)} has {most:,} images, {short_repr(smallest)} {least:,}; "
            f"{_FAKES[config.data.fake_labels]}, {_REALS[config.data.balance]}"
        )
    if few := sum(size < ENOUGH for size, _ in sizes):
        who = f"class {short_repr(smallest)}" if info.class_names else "the data set"
        lines.append(
            (f"{few} of {len(sizes)} classes have" if few > 1 else f"{who} has")
            + f" fewer than {ENOUGH} images"
            + (f", {who} the fewest, {least:,}" if few > 1 else f", {least:,}")
            + ": D may learn each by heart"
            + ("" if config.augment.policy else "; augment.policy=[color,translation,cutout] varies what it sees")
            + ("" if config.data.held_out or least < 2 else "; data.held_out=0.1 keeps some aside, to notice it")
        )
    if config.decay_from is not None and config.decay_from >= config.steps:
        lines.append(f"decay_from={config.decay_from} is not before steps={config.steps}: the rates never fall")
    return lines


def _resolution(side: int, config: TrainConfig) -> Iterator[str]:
    """Say it where the networks of a run, or the default ones, are of other sizes."""
    refused = {}
    for architecture in get_args(Architecture):
        try:
            official_channels(architecture, side, "g")
        except ValueError as error:
            refused[architecture] = error
    if config.architecture in refused:
        able = [f"architecture={name}" for name in get_args(Architecture) if name not in refused]
        yield f"{refused[config.architecture]}; {' or '.join(able) or 'no other'} takes it"
