"""`python -m train.evaluation.classifier`: train a small classifier, to ask whether samples look like their class.

A data set of 10,000s of small images takes minutes on a laptop's processor, and seconds on a GPU.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from sngan_cond.cli import OneLineParser, run_command
from sngan_cond.randomness import rng_for, seed_for
from sngan_cond.transfer import to_device
from train.cli import DEVICES, check_device, check_writable
from train.data.dataset import PreparedDataset
from train.errors import EvaluationError, TrainError
from train.evaluation.classifier_file import Classifier, ClassifierMetadata, save_classifier
from train.evaluation.streams import on_device
from train.run.numerics import exact_float32

TRAIN_BATCH = 128
TEST_BATCH = 256
WIDTH = 32  # of the first convolution, unless another is asked for
PEAK_RATE = 3e-3  # of AdamW, reached after a quarter of the updates


# Indices (N,) on the CPU to images (N, 3, R, R) uint8 and labels (N,).
Batch = Callable[[Tensor], tuple[Tensor, Tensor]]


def batches_of(dataset: PreparedDataset, device: torch.device) -> Batch:
    """Return what reads batches of a data set onto a device."""

    def read(indices: Tensor) -> tuple[Tensor, Tensor]:
        chosen = indices.numpy()
        return on_device(dataset.images[chosen], device), to_device(torch.from_numpy(dataset.labels[chosen]), device)

    return read


@torch.inference_mode()
def accuracy(classifier: Classifier, dataset: PreparedDataset, *, top: int = 1) -> float:
    """Return the fraction of a data set's images that have their class among the `top` likeliest of a classifier."""
    device = next(classifier.parameters()).device
    read, correct = batches_of(dataset, device), torch.zeros((), dtype=torch.int64, device=device)
    for indices in torch.arange(len(dataset)).split(TEST_BATCH):
        images, labels = read(indices)
        correct += (classifier(images).topk(top).indices == labels[:, None]).sum()
    return int(correct) / len(dataset)


@exact_float32()
def fit_classifier(
    read: Batch,
    count: int,
    *,
    num_classes: int,
    resolution: int,
    width: int = WIDTH,
    epochs: int,
    seed: int,
    device: torch.device | str,
    shown: bool | None = None,
) -> Classifier:
    """Train a classifier, in float32 and without waiting for each batch.

    Args:
        read: batches of the images.
        count: of the images, all of which each epoch goes through in a new order.
        width: channels of the first convolution.
        device: of the classifier; from one seed all devices train the same one, but for rounding.
        shown: show a bar; None where there is a terminal.
    Returns:
        The classifier in eval mode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_for(seed, "classifier"))  # a GPU's generators are left alone
        classifier = Classifier(num_classes, resolution, width).to(device, non_blocking=True)
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=PEAK_RATE)
    updates = -(-count // TRAIN_BATCH) * epochs
    warm_up = 0.25 if updates > 4 else 0.0  # OneCycleLR divides by (warm-up updates - 1), which must not be 0
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=updates, pct_start=warm_up)
    disable = None if shown is None else not shown
    with tqdm(total=updates, desc="training the classifier", unit="updates", disable=disable) as bar:
        for epoch in range(epochs):
            order = torch.randperm(count, generator=rng_for(seed, "classifier", epoch))
            for indices in order.split(TRAIN_BATCH):
                images, labels = read(indices)
                loss = F.cross_entropy(classifier(images), labels)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                bar.update()
    return classifier.eval()


@exact_float32()
def train_classifier(
    data: PreparedDataset,
    test: PreparedDataset,
    *,
    epochs: int = 4,
    width: int = WIDTH,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> tuple[Classifier, ClassifierMetadata]:
    """Train a classifier on one data set and test it on another.

    Args:
        data: labelled images to train on.
        test: other images of the same classes and resolution.
        width: channels of the first convolution.
        device: where the classifier is trained, and stays.
    Returns:
        The classifier in eval mode on that device, and what its file says about it.
    Raises:
        EvaluationError: if there are no classes, or the two data sets do not match.
    """
    _check_pair(data, test)
    form = {"num_classes": data.num_classes, "resolution": data.resolution, "width": width}
    read = batches_of(data, torch.device(device))
    classifier = fit_classifier(read, len(data), **form, epochs=epochs, seed=seed, device=device)
    metadata = ClassifierMetadata(
        **form,
        class_names=data.class_names,
        train_sha256=data.info.sha256["images.npy"],
        train_count=len(data),
        test_sha256=test.info.sha256["images.npy"],
        test_count=len(test),
        test_accuracy=accuracy(classifier, test),
        epochs=epochs,
        seed=seed,
    )
    return classifier, metadata


def _check_pair(data: PreparedDataset, test: PreparedDataset) -> None:
    if not data.num_classes:
        raise EvaluationError(f"--data {data.folder}: has no classes; a classifier needs labels")
    if (test.class_names, test.resolution) != (data.class_names, data.resolution):
        raise EvaluationError(
            f"--test {test.folder}: {test.num_classes} classes at {test.resolution} px; allowed are the "
            f"{data.num_classes} classes of --data at {data.resolution} px"
        )
    if test.info.sha256 == data.info.sha256:
        raise EvaluationError(f"--test {test.folder}: holds the images of --data; others are allowed")


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m train.evaluation.classifier",
        description="Train a small classifier of a prepared data set, for `train.evaluate --classifier`.",
    )
    add = parser.add_argument
    add("--data", required=True, metavar="DIR", help="prepared data set to train on")
    add("--test", required=True, metavar="DIR", help="prepared data set to test on")
    add("--out", required=True, type=Path, metavar="FILE", help="safetensors file to write")
    add("--epochs", type=int, default=4, metavar="N", help="passes over --data (default 4)")
    add("--width", type=int, default=WIDTH, metavar="N", help=f"channels of the first convolution (default {WIDTH})")
    add("--seed", type=int, default=0, metavar="N", help="seed of initialisation and shuffling (default 0)")
    add("--device", default="auto", metavar="NAME", help=DEVICES)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    args = _parser().parse_args(arguments)
    return run_command(lambda: _train(args), TrainError)


def _train(args: argparse.Namespace) -> None:
    for name in ("epochs", "width"):
        if getattr(args, name) < 1:
            raise EvaluationError(f"--{name} {getattr(args, name)}: an integer from 1 is allowed")
    check_device(args.device)
    check_writable(args.out)
    device = args.device
    if device == "auto":
        device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    data, test = PreparedDataset.open(args.data), PreparedDataset.open(args.test)
    classifier, metadata = train_classifier(
        data, test, epochs=args.epochs, width=args.width, seed=args.seed, device=device
    )
    save_classifier(classifier, metadata, args.out)
    print(f"{args.out}: {metadata.test_accuracy:.2%} of {metadata.test_count:,} test images classified correctly")


if __name__ == "__main__":
    sys.exit(main())
