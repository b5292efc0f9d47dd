"""The small network that judges whether samples look like their class, and the file it is kept in."""

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import pydantic
import torch
from pydantic import Field
from torch import Tensor, nn

from sngan_cond.hub.weights import read_header, read_weights, save_tensors, shape_of
from sngan_cond.stored import parse_json
from sngan_cond.validation import one_line
from train.errors import EvaluationError
from train.files import atomic_write, sha256
from train.stored import STRICT, check_as

METADATA_KEY = "classifier"
TOP_SIDE_PX = 4
MAX_WIDTH = 256


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class ClassifierMetadata:
    """What a classifier file says about itself.

    Args:
        resolution: side of the images in pixels.
        width: channels of the first convolution.
        class_names: in label order.
        train_sha256: of the training data's images.npy.
        test_sha256: of the test data's images.npy.
        test_accuracy: fraction of the test images classified correctly, 0 to 1.
        seed: of initialisation and shuffling.
    """

    num_classes: Annotated[int, Field(ge=1, le=100_000)]
    resolution: Annotated[int, Field(ge=2 * TOP_SIDE_PX, le=1024)]
    width: Annotated[int, Field(ge=1, le=4096)]
    class_names: list[str]
    train_sha256: str
    train_count: int
    test_sha256: str
    test_count: int
    test_accuracy: float
    epochs: int
    seed: int


class Classifier(nn.Module):
    """Strided convolutions down to 4 to 7 px, mean over positions, one linear layer.

    Args:
        resolution: side R of the images in pixels, from 8.
        width: channels of the first convolution; each further one doubles them, up to 256.
    Raises:
        EvaluationError: if the images are smaller.
    """

    def __init__(self, num_classes: int, resolution: int, width: int) -> None:
        super().__init__()
        stages = (resolution // TOP_SIDE_PX).bit_length() - 1
        if stages < 1:
            raise EvaluationError(f"resolution={resolution}: a classifier takes images from {2 * TOP_SIDE_PX} px")
        layers: list[nn.Module] = []
        channels = 3
        for stage in range(stages):
            out = min(width << stage, MAX_WIDTH)
            layers += [nn.Conv2d(channels, out, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        layers += [nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.top = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return class logits (N, K) of (N, 3, R, R) uint8 images."""
        x = images.float() / 127.5 - 1
        x = self.features(x)  # (N, C, 4 to 7, 4 to 7)
        logits: Tensor = self.top(x.mean(dim=(2, 3)))
        return logits


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier read from a file; a source of `extract`.

    Args:
        network: in eval mode.
        sha256: of the file.
    """

    network: Classifier
    metadata: ClassifierMetadata
    sha256: str
    name: ClassVar[str] = "classifier of the data set"

    def read(self, images: Tensor) -> dict[str, Tensor]:
        """Return the `classes` (n,) that it takes the images for."""
        return {"classes": self.network(images).argmax(1)}


def save_classifier(classifier: Classifier, metadata: ClassifierMetadata, path: Path) -> None:
    """Write a classifier and its metadata as one safetensors file, whole or not at all."""
    with atomic_write(path) as beside:
        save_tensors(classifier.state_dict(), beside, metadata={METADATA_KEY: json.dumps(asdict(metadata))})


def load_classifier(path: str | Path, device: torch.device | str = "cpu") -> LoadedClassifier:
    """Read what `save_classifier` wrote.

    Raises:
        EvaluationError: if the file is missing, damaged or no classifier.
    """
    path = Path(path)
    try:
        text, _ = read_header(path, METADATA_KEY)
        if text is None:
            raise ValueError("it does not say what it is")
        name = "its metadata"
        metadata = check_as(ClassifierMetadata, parse_json(text, name=name), name=name)
        if len(metadata.class_names) != metadata.num_classes:
            raise ValueError(f"it has {metadata.num_classes} classes and {len(metadata.class_names)} names of them")
        classifier = shape_of(partial(Classifier, metadata.num_classes, metadata.resolution), metadata.width)
        # The shapes are compared before anything is allocated.
        classifier.load_state_dict(read_weights(path, classifier.state_dict(), torch.float32), assign=True)
        digest = sha256(path)
    except (OSError, ValueError) as error:
        reason = one_line(error).removeprefix(f"{path}: ")
        raise EvaluationError(
            f"--classifier {path}: not a classifier ({reason}); make one with python -m train.evaluation.classifier"
        ) from error
    return LoadedClassifier(classifier.eval().to(device), metadata, digest)
