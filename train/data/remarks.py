"""What a user should know about the sizes of a data set's classes before hours of training show it."""

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
    """Return a line if a run tells classes apart that differ much in size, and one if there are few images of any.

    Args:
        config: of the run, or the defaults.
    """
    sizes = list(zip(info.images_per_class, info.class_names, strict=True)) or [(info.count, "")]
    (least, smallest), (most, largest) = min(sizes), max(sizes)
    lines = []
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
            + ("" if config.data.held_out else "; data.held_out=0.1 keeps some aside, to notice it")
        )
    return lines
