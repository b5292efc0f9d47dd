"""The network that judges samples by their class, and its file."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import Tensor, nn

from train.errors import EvaluationError
from train.evaluation.features import Observer

FACTS_KEY = "classifier"
TOP_SIDE_PX = 4
MAX_WIDTH = 256


@dataclass(frozen=True)
class ClassifierFacts:
    """What a classifier file says about itself.

    Args:
        num_classes: number of classes K.
        resolution: side of the images in pixels.
        width: channels of the first convolution.
        class_names: K names in label order.
        train_sha256: of images.npy it was trained on.
        train_count: images it was trained on.
        test_sha256: of images.npy it was tested on.
        test_count: images it was tested on.
        test_accuracy: share of test images it names rightly.
        epochs: passes over the training images.
        seed: of initialisation and order.
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
        num_classes: number of classes K.
        resolution: side R of the images in pixels, from 8.
        width: channels of the first convolution; each further one doubles them up to 256.
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
        """Return class logits.

        Args:
            images: (N, 3, R, R) uint8.
        Returns:
            (N, K) float32.
        """
        x = images.float() / 127.5 - 1
        x = self.features(x)  # (N, C, 4 to 7, 4 to 7)
        logits: Tensor = self.top(x.mean(dim=(2, 3)))
        return logits


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier read from a file.

    Args:
        network: in eval mode.
        facts: what the file says about it.
        sha256: of the file.
    """

    network: Classifier
    facts: ClassifierFacts
    sha256: str


def save_classifier(classifier: Classifier, facts: ClassifierFacts, path: Path) -> None:
    """Write a classifier and its facts as one safetensors file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(classifier.state_dict(), partial, metadata={FACTS_KEY: json.dumps(asdict(facts))})
    partial.replace(path)


def load_classifier(path: str | Path) -> LoadedClassifier:
    """Read what `save_classifier` wrote.

    Args:
        path: safetensors file.
    Returns:
        The classifier, its facts and the file's sha256.
    Raises:
        EvaluationError: if the file is missing, damaged or no classifier.
    """
    try:
        contents = Path(path).read_bytes()
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        weights = load(contents)
        facts = ClassifierFacts(**json.loads(metadata[FACTS_KEY]))
        classifier = Classifier(facts.num_classes, facts.resolution, facts.width)
        classifier.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise EvaluationError(
            f"--classifier {path}: not a classifier ({str(error).splitlines()[0]}); make one with "
            "python -m train.evaluation.classifier"
        ) from error
    return LoadedClassifier(classifier.eval(), facts, hashlib.sha256(contents).hexdigest())


def count_right(classifier: LoadedClassifier, labels: Tensor, right: Tensor) -> Observer:
    """Return an observer of a stream that counts the images whose class a classifier names.

    Args:
        classifier: on the images' device.
        labels: (N,) wanted labels of the first N images; further ones are not looked at.
        right: 0-dimensional int64 on the CPU, to which the count is added.
    """

    def observe(images: Tensor, start: int) -> None:
        wanted = labels[start : start + len(images)].to(images.device)
        if len(wanted):
            right.add_((classifier.network(images[: len(wanted)]).argmax(1) == wanted).sum().cpu())

    return observe
