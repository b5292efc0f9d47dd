"""Extractors of what the field measures today: their names, their networks against second sources, their cautions."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image

from sngan_cond import Generator, GeneratorConfig
from tests.refusals import refused
from tests.train.evaluation.parts import job_of, small_extractor, tiny_dataset, tiny_generator, write_dataset
from train import evaluate as command
from train.errors import EvaluationError
from train.evaluation import extractors
from train.evaluation.checks import check
from train.evaluation.dinov2 import resized_images, resized_positions
from train.evaluation.extractors import load_extractor
from train.evaluation.fallback_extractors import Identity
from train.evaluation.measure import evaluate
from train.evaluation.metrics import METRICS
from train.evaluation.names import DINOV2, DINOV2_SMALL, FALLBACK, INCEPTION, VGG16
from train.evaluation.protocols import PROTOCOLS
from train.evaluation.weights import WeightsFile, find_weights
from train.files import sha256

QUICK = PROTOCOLS["quick"].reduced(fakes=60, reals=80)


def named(metric: str, extractor: str) -> tuple[str, ...]:
    return METRICS[metric].names(replace(small_extractor(), name=extractor))


def test_a_bare_name_belongs_to_one_network_with_its_published_weights() -> None:
    assert named("frechet", DINOV2) == ("fd_dinov2",)
    assert named("precision_recall", VGG16) == ("precision_vgg16", "recall_vgg16")
    assert named("precision_recall", INCEPTION) == ("precision_inception", "recall_inception")
    for extractor in (f"{DINOV2}(unpublished weights)", DINOV2_SMALL, f"{VGG16}(unpublished weights)", VGG16, FALLBACK):
        assert not {"fd_dinov2", "fid"} & set(named("frechet", extractor))
        for metric in ("precision_recall", "density_coverage"):
            assert not {"precision", "recall", "density", "coverage"} & set(named(metric, extractor))
    assert named("frechet", f"{DINOV2}(unpublished weights)") == ("frechet_dinov2_vitl14_unpublished_weights",)


def test_only_networks_of_published_scores_are_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with the files that their names stand for: Kynkaanniemi et al. took other weights of VGG-16."""
    file = WeightsFile(Path("w.pth"), "0" * 64, is_published=True)
    monkeypatch.setattr(extractors, "find_weights", lambda *_, **__: file)
    monkeypatch.setattr(extractors, "_build", lambda name, *_: Identity(name, ["pixels"]))
    found = {name: load_extractor(name) for name in (INCEPTION, DINOV2, VGG16, FALLBACK)}
    assert [one.name for one in found.values()] == list(found)
    assert [name for name, one in found.items() if one.is_published] == [INCEPTION, DINOV2]


@pytest.mark.parametrize("name", [DINOV2, DINOV2_SMALL, VGG16])
def test_weights_are_asked_for_and_never_fetched(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    refused(lambda: load_extractor(name), f"--extractor {name}: its weights are not at ", "nothing is downloaded")
    (tmp_path / "other.pth").write_bytes(b"others")
    assert not find_weights(name, tmp_path / "other.pth").is_published


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    for positions in (torch.ones(3), torch.ones(1, 7, 384), torch.ones(1, 1370, 384)):
        torch.save({"pos_embed": positions, "a": torch.ones(2)}, tmp_path / "other.pth")
        words = f"does not fit {DINOV2_SMALL} ("
        refused(lambda: load_extractor(DINOV2_SMALL, weights=tmp_path / "other.pth"), words)


def test_a_network_that_tells_no_classes_gives_no_class_score(tmp_path: Path) -> None:
    extractor = replace(small_extractor(), name=DINOV2, score_layer=None)
    job = job_of(tiny_dataset(tmp_path / "data"), QUICK, extractor=extractor)
    G = tiny_generator()
    said = f"class_score: extractor {DINOV2} tells no classes; --metrics frechet, kernel, precision_recall does without"
    refused(lambda: check(job, G), said, by=EvaluationError)
    check(replace(job, metrics=tuple(metric for metric in job.metrics if metric.key != "class_score")), G)


def test_fewer_images_than_features_are_remarked_on(tmp_path: Path) -> None:
    dataset, G = tiny_dataset(tmp_path / "data"), tiny_generator()
    wide = load_extractor("identity")  # 768 features at 16 px
    assert (wide.width(16), small_extractor().width(16)) == (768, 27)
    report = evaluate(job_of(dataset, QUICK, "frechet", "kernel", extractor=wide), G)
    rows = {row["metric"]: row for row in report.metrics}
    assert rows["frechet"]["remark"].startswith("60 generated and 80 real images are fewer than the 768 features")
    assert "remark" not in rows["kernel"]
    assert [line for line in report.lines() if "biased and not comparable" in line] == report.lines()[-1:]
    enough = evaluate(job_of(dataset, QUICK.reduced(fakes=27, reals=27), "frechet"), G)
    assert ["remark" in row for row in enough.metrics] == [False]
    few = evaluate(job_of(dataset, QUICK.reduced(reals=26), "frechet", "intra_frechet"), G)
    for row in few.metrics:
        assert row["remark"].startswith("26 real images are fewer than the 27 features")


@pytest.mark.parametrize("side", [32, 256])
def test_images_are_resized_as_pillow_resizes_them(side: int) -> None:
    """Of black and white noise, which overshoots everywhere, and which a single pass would leave 30 levels apart."""
    pixels = (np.random.default_rng(0).random((side, side, 3)) < 0.5).astype(np.uint8) * 255
    expected = np.asarray(Image.fromarray(pixels).resize((224, 224), Image.Resampling.BICUBIC))
    found = resized_images(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() <= 2  # Pillow's weights have 22 bits, and its passes round after each
    assert np.abs(found - expected).mean() < 0.1


def cubic(t: float) -> float:
    """Keys' kernel with a = -0.75."""
    t, a = abs(t), -0.75
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def test_position_embeddings_are_scaled_as_dinov2_scales_them() -> None:
    """37 patches a side become 16 with steps of 37 / 16.1, its offset, where 37 / 16 would be expected."""
    embedding = torch.randn(1, 1 + 37 * 37, 3, generator=torch.Generator().manual_seed(0))
    weights = np.zeros((16, 37))
    for i in range(16):
        at = (i + 0.5) * 37 / 16.1 - 0.5
        for source in range(math.floor(at) - 1, math.floor(at) + 3):
            weights[i, min(max(source, 0), 36)] += cubic(at - source)
    square = embedding[0, 1:].double().numpy().reshape(37, 37, 3)
    expected = np.einsum("ia,jb,abd->ijd", weights, weights, square).reshape(256, 3)
    found = resized_positions(embedding, 16)
    assert torch.equal(found[0, 0], embedding[0, 0])
    assert found[0, 1:].numpy() == pytest.approx(expected, abs=1e-4)  # float32, sums of 16 products
    assert torch.equal(resized_positions(embedding, 37), embedding)


def write_random_dinov2(path: Path, *, width: int = 384, depth: int = 12) -> dict[str, torch.Tensor]:
    """Random weights in the format of facebookresearch/dinov2, of sizes at which every part of it matters."""
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int, scale: float = 0.3) -> torch.Tensor:
        return scale * torch.randn(*shape, generator=rng)

    state = {
        "cls_token": normal(1, 1, width),
        "pos_embed": normal(1, 1 + 37 * 37, width),
        "mask_token": normal(1, width),
        "patch_embed.proj.weight": normal(width, 3, 14, 14, scale=0.05),
        "patch_embed.proj.bias": normal(width),
        "norm.weight": normal(width),
        "norm.bias": normal(width),
    }
    shapes = {"attn.qkv": (3 * width, width), "attn.proj": (width, width), "mlp.fc1": (4 * width, width)}
    for block in range(depth):
        for layer, (rows, columns) in {**shapes, "mlp.fc2": (width, 4 * width)}.items():
            state[f"blocks.{block}.{layer}.weight"] = normal(rows, columns, scale=0.05)
            state[f"blocks.{block}.{layer}.bias"] = normal(rows)
        for layer in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "ls1.gamma", "ls2.gamma"):
            state[f"blocks.{block}.{layer}"] = normal(width)
    torch.save(state, path)
    return state


def dinov2_by_hand(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The class token that a vision transformer with layer scale, and heads of 64, gives of (N, 3, 224, 224)."""

    def layer(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        variance, mean = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
        return (x - mean) / (variance + 1e-6).sqrt() * state[f"{name}.weight"] + state[f"{name}.bias"]

    width = state["cls_token"].shape[-1]
    patches = x.unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    patches = patches @ state["patch_embed.proj.weight"].flatten(1).T + state["patch_embed.proj.bias"]
    x = torch.cat([state["cls_token"].expand(len(x), 1, width), patches], 1)
    x = x + resized_positions(state["pos_embed"].float(), 16)
    for i in range(12):
        block = f"blocks.{i}."
        q, k, v = layer(block + "attn.qkv", norm(block + "norm1", x)).unflatten(-1, (3, -1, 64)).permute(2, 0, 3, 1, 4)
        attended = ((q @ k.transpose(-1, -2)) / 8).softmax(-1) @ v
        attended = layer(block + "attn.proj", attended.transpose(1, 2).flatten(2))
        x = x + state[block + "ls1.gamma"] * attended
        hidden = F.gelu(layer(block + "mlp.fc1", norm(block + "norm2", x)))
        x = x + state[block + "ls2.gamma"] * layer(block + "mlp.fc2", hidden)
    return norm("norm", x)[:, 0]


@pytest.mark.slow
def test_dinov2_equals_the_network_written_out(tmp_path: Path) -> None:
    state = write_random_dinov2(tmp_path / "random.pth")
    extractor = load_extractor(DINOV2_SMALL, weights=tmp_path / "random.pth")
    assert (extractor.sha256, extractor.width(32)) == (sha256(tmp_path / "random.pth"), 384)
    images = torch.randint(256, (2, 3, 224, 224), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
    expected = dinov2_by_hand(state, (images / 255 - mean) / deviation)
    assert extractor.read(images)["features"].numpy() == pytest.approx(expected.numpy(), abs=1e-4)
    assert expected.std() > 0.1


def scored(tmp_path: Path, extractor: str, metrics: list[str]) -> dict[str, dict]:
    """Rows of the whole command with random weights in the format of the published ones."""
    G = Generator(GeneratorConfig(resolution=32, num_classes=4, latent_dim=8, architecture="cnn", channels=4))
    G.save_pretrained(tmp_path / "model")
    data, out = write_dataset(tmp_path / "data", side=32, count=40), tmp_path / "metrics.json"
    flags = ["--model", str(tmp_path / "model"), "--data", str(data), "--protocol", "50k", "--out", str(out)]
    counts = ["--fakes", "20", "--reals", "24", "--no-cache", "--no-progress", "--batch", "10", "--metrics", *metrics]
    weights = ["--extractor", extractor, "--weights", str(tmp_path / "random.pth"), "--device", "cpu"]
    assert command.main([*flags, *counts, *weights]) == 0
    result = json.loads(out.read_text())
    assert result["extractor"]["is_published"] is False
    assert result["extractor"]["sha256"] == sha256(tmp_path / "random.pth")
    return {row["name"]: row for row in result["metrics"]}


@pytest.mark.slow
def test_fd_dinov2_with_random_weights(tmp_path: Path) -> None:
    write_random_dinov2(tmp_path / "random.pth")
    rows = scored(tmp_path, DINOV2_SMALL, ["frechet"])
    (row,) = rows.values()
    assert row["name"] == "frechet_dinov2_vits14_unpublished_weights"
    assert row["value"] > 0
    assert "fewer than the 384 features" in row["remark"]


@pytest.mark.slow
def test_precision_and_recall_with_random_vgg16_weights(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torchvision.models.vgg16().eval()
    torch.save(network.state_dict(), tmp_path / "random.pth")
    rows = scored(tmp_path, VGG16, ["precision_recall"])
    names = [f"{name}_vgg16_unpublished_weights" for name in ("precision", "recall")]
    assert list(rows) == names
    assert all(0 <= row["value"] <= 1 for row in rows.values())
    extractor = load_extractor(VGG16, weights=tmp_path / "random.pth")
    images = torch.randint(256, (2, 3, 224, 224), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    found = extractor.read(images)["features"]
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
    with torch.no_grad():
        pooled = network.features((images / 255 - mean) / deviation).flatten(1)
        first, second = network.classifier[0], network.classifier[3]
        expected = second(first(pooled).relu()).relu()
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-4 * float(expected.max()))
    assert found.shape == (2, 4096)
