"""The small network that judges whether samples look like their class, and the file it is kept in."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from train.errors import EvaluationError
from train.evaluation.features import Observer
from train.files import atomic_write, sha256

METADATA_KEY = "classifier"
TOP_SIDE_PX = 4
MAX_WIDTH = 256


@dataclass(frozen=True)
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

    num_classes: int
    resolution: int
    width: int
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
    """A classifier read from a file.

    Args:
        network: in eval mode.
        sha256: of the file.
    """

    network: Classifier
    metadata: ClassifierMetadata
    sha256: str


def save_classifier(classifier: Classifier, metadata: ClassifierMetadata, path: Path) -> None:
    """Write a classifier and its metadata as one safetensors file, whole or not at all."""
    with atomic_write(path) as beside:
        save_file(classifier.state_dict(), beside, metadata={METADATA_KEY: json.dumps(asdict(metadata))})


def load_classifier(path: str | Path) -> LoadedClassifier:
    """Read what `save_classifier` wrote.

    Raises:
        EvaluationError: if the file is missing, damaged or no classifier.
    """
    try:
        digest = sha256(Path(path))
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})[METADATA_KEY]
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # a file, not a dict
        metadata = ClassifierMetadata(**json.loads(text))
        classifier = Classifier(metadata.num_classes, metadata.resolution, metadata.width)
        classifier.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise EvaluationError(
            f"--classifier {path}: not a classifier ({str(error).splitlines()[0]}); make one with "
            "python -m train.evaluation.classifier"
        ) from error
    return LoadedClassifier(classifier.eval(), metadata, digest)


def count_correct(classifier: LoadedClassifier, labels: Tensor, correct: Tensor) -> Observer:
    """Return an observer of a stream that counts the images classified as the class they were generated for.

    Args:
        classifier: on the images' device.
        labels: (N,) labels of the stream's first N images; further images are not classified.
        correct: 0-dimensional int64 on the CPU, to which the count is added.
    """

    def observe(images: Tensor, start: int) -> None:
        wanted = labels[start : start + len(images)].to(images.device)
        if len(wanted):
            correct.add_((classifier.network(images[: len(wanted)]).argmax(1) == wanted).sum().cpu())

    return observe
