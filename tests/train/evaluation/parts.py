"""Real networks and data at tiny size for the tests of evaluation."""

import copy
import functools
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from sngan_cond import Generator, GeneratorConfig
from train.data.dataset import PreparedDataset
from train.data.info import DatasetInfo
from train.evaluation.extractors import Extractor
from train.evaluation.job import Evaluation
from train.evaluation.measure import evaluate
from train.evaluation.measured import Measured
from train.evaluation.metrics import metrics_named
from train.evaluation.protocols import PROTOCOLS, Protocol
from train.evaluation.report import Report
from train.files import sha256

SIDE, CLASSES = 16, 4
SMALL = "small-for-tests"


class SmallExtractor(FeatureExtractorBase):
    """27 numbers of an image: 3x3 means of each channel; logits are a fixed mixture of them."""

    def __init__(self, name: str, features_list: list[str], **kwargs: object) -> None:
        super().__init__(name, list(features_list))
        self.register_buffer("mixture", torch.randn(27, 6, generator=torch.Generator().manual_seed(0)))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        features = F.adaptive_avg_pool2d(images.float(), 3).flatten(1) / 64
        layers = {"means": features, "logits": features @ self.mixture}
        return tuple(layers[name] for name in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return "means", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "means"


FEATURE_EXTRACTORS_REGISTRY[SMALL] = SmallExtractor


def small_extractor(sha256: str = "0" * 64) -> Extractor:
    return Extractor(
        name=SMALL,
        sha256=sha256,
        module=SmallExtractor(SMALL, ["means", "logits"]).eval(),
        layer="means",
        score_layer="logits",
        resize="3x3 means",
        is_published=False,
        device=torch.device("cpu"),
    )


def tiny_generator(*, classes: int = CLASSES, seed: int = 0, ignores_label: bool = False) -> Generator:
    """A CNN generator of varied greys whose classes differ visibly, unless it is to ignore its label."""
    return copy.deepcopy(_generator(classes, seed, ignores_label))


@functools.cache
def _generator(classes: int, seed: int, ignores_label: bool) -> Generator:
    config = GeneratorConfig(resolution=SIDE, num_classes=classes, latent_dim=8, architecture="cnn", channels=4)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        G = Generator(config)
        for name, parameter in G.named_parameters():
            if name.endswith(("gain", "bias")) and parameter.ndim == 2:
                rows = torch.randn(1 if ignores_label else classes, parameter.shape[1])
                parameter.copy_(0.5 * rows.expand_as(parameter) + name.endswith("gain"))
            elif parameter.ndim == 4:
                torch.nn.init.kaiming_normal_(parameter)
        labels = torch.arange(32) % classes if classes else None
        for _ in range(30):  # running statistics that fit the weights
            G(torch.randn(32, config.latent_dim), labels)
    return G.eval()


def write_dataset(folder: Path, *, count: int = 240, classes: int = CLASSES, side: int = SIDE, seed: int = 1) -> Path:
    """Smooth random images, brighter with every class, as a prepared data set."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % classes
    coarse = torch.from_numpy(rng.normal(size=(count, 3, 4, 4))).float()
    smooth = F.interpolate(coarse, size=(side, side), mode="bilinear").numpy()
    images = (40 * smooth + 60 + 40 * labels[:, None, None, None]).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", np.ascontiguousarray(images))
    np.save(folder / "labels.npy", labels)
    info = DatasetInfo(
        source="test",
        split="train",
        resolution=side,
        count=count,
        class_names=[f"class {label}" for label in range(classes)],
        class_ids=None,
        images_per_class=np.bincount(labels).tolist(),
        preparation={"crop": "none"},
        sha256={name: sha256(folder / name) for name in ("images.npy", "labels.npy")},
        skipped={},
    )
    info.write(folder / "dataset.json")
    return folder


def tiny_dataset(folder: Path) -> PreparedDataset:
    return PreparedDataset.open(write_dataset(folder))


def job_of(dataset: PreparedDataset, protocol: Protocol, *metrics: str, **fields: object) -> Evaluation:
    """An evaluation with the small extractor; without names of metrics, of the protocol's own."""
    wanted = metrics_named(metrics or protocol.metrics)
    return Evaluation(
        **{"dataset": dataset, "protocol": protocol, "metrics": wanted, "extractor": small_extractor(), **fields}
    )


def measured(
    G: Generator,
    dataset: PreparedDataset,
    protocol: Protocol,
    *metrics: str,
    work_dir: Path | None = None,
    **fields: object,
) -> Report:
    return evaluate(job_of(dataset, protocol, *metrics, **fields), G, work_dir=work_dir)


def frechet(fakes: Tensor, reals: Tensor) -> float:
    """The distance of two sets of features, with moments of the reals by numpy."""
    moments = {"mu": reals.numpy().mean(axis=0), "sigma": np.cov(reals.numpy(), rowvar=False)}
    rows = {name: torch.from_numpy(moment) for name, moment in moments.items()}
    ((distance, _),) = Measured(PROTOCOLS["quick"], {"features": fakes}, rows).frechet()
    return distance


def scores(path: Path) -> dict[str, float]:
    return {row["name"]: row["value"] for row in json.loads(path.read_text())["metrics"]}
