"""What is said of classes that differ in size and of few images."""

import pytest

from sngan_cond.config import AugmentConfig
from train.config import TrainConfig
from train.data.info import DatasetInfo
from train.data.remarks import remarks
from train.sections import DataConfig


def info(*sizes: int, labelled: bool = True, resolution: int = 32) -> DatasetInfo:
    names = [f"name {c}" for c in range(len(sizes))] if labelled else []
    counts = list(sizes) if labelled else []
    return DatasetInfo("test", None, resolution, sum(sizes), names, None, counts, {}, {}, {})


def test_classes_ten_to_one_are_alike_and_more_are_not() -> None:
    assert remarks(info(1000, 100, 400), TrainConfig()) == []
    (line,) = remarks(info(400, 1001, 100), TrainConfig())
    assert line.startswith("classes differ in size: 'name 1' has 1,001 images, 'name 2' 100; labels of fakes are unif")
    assert remarks(info(1001, 100), TrainConfig(num_classes=0)) == []


@pytest.mark.parametrize(
    ("data", "fakes", "reals"),
    [
        (DataConfig(), "uniform (data.fake_labels=data:", "all images equally often (data.balance=classes:"),
        (DataConfig(fake_labels="data"), "as frequent as the images (data.fake_labels=uniform:", "all images equally"),
        (DataConfig(balance="classes"), "uniform (data", "all classes equally often (data.balance=none:"),
    ],
)
def test_the_line_says_how_labels_and_batches_are_drawn_and_the_keys(data: DataConfig, fakes: str, reals: str) -> None:
    (line,) = remarks(info(2000, 150), TrainConfig(data=data))
    assert f"labels of fakes are {fakes}" in line
    assert f"real batches show {reals}" in line


@pytest.mark.parametrize(
    ("sizes", "labelled", "start"),
    [
        ((99, 500, 60), True, "2 of 3 classes have fewer than 100 images, class 'name 2' the fewest, 60: D may"),
        ((99, 500, 160), True, "class 'name 0' has fewer than 100 images, 99: D may"),
        ((80,), False, "the data set has fewer than 100 images, 80: D may"),
    ],
)
def test_few_images_are_one_line(sizes: tuple[int, ...], labelled: bool, start: str) -> None:
    (line,) = remarks(info(*sizes, labelled=labelled), TrainConfig())
    assert line.startswith(start)
    assert line.endswith("data.held_out=0.1 keeps some aside, to notice it")
    assert remarks(info(120, labelled=labelled), TrainConfig()) == []


def test_what_a_run_does_already_is_not_advised() -> None:
    config = TrainConfig(data=DataConfig(held_out=0.2), augment=AugmentConfig(policy=("color",)))
    (line,) = remarks(info(60, 50), config)
    assert line.endswith("50: D may learn each by heart")


def test_a_class_of_one_image_has_none_to_hold_out() -> None:
    (line,) = remarks(info(1, 9), TrainConfig())
    assert line.endswith("1: D may learn each by heart; augment.policy=[color,translation,cutout] varies what it sees")


@pytest.mark.parametrize(
    ("side", "end"),
    [(96, "px; architecture=cnn takes it"), (16, "=cnn or architecture=dcgan takes it"), (100, "no other takes it")],
)
def test_a_size_that_the_networks_do_not_have_is_said(side: int, end: str) -> None:
    (line,) = remarks(info(200, 200, resolution=side), TrainConfig())
    assert line.startswith(f"resolution={side}: the resnet architecture has plans for [32, 48, ")
    assert line.endswith(end)


def test_rates_that_never_fall_are_said() -> None:
    assert remarks(info(200, 200), TrainConfig(steps=400_001)) == []
    (line,) = remarks(info(200, 200), TrainConfig(steps=400_000))
    assert line == "decay_from=400000 is not before steps=400000: the rates never fall"
