"""On a GPU, updates in bfloat16 keep features bfloat16 and channels-last from end to end: traced with fake tensors."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks.fake_gpu import CUDA, Launch, Operand, Trace, fake_gpu, run_backward
from benchmarks.trace import main as benchmark_main
from benchmarks.trace import trace_update
from sngan_cond import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from train.presets.load import load_config
from train.sections import SpeedConfig
from train.trainer.speed import lay_out

N = 8  # unlike any number of channels, so that features cannot be taken for weights
AT_REST = ("_to_copy", "clone")  # what changes type or layout and computes nothing

# What may be float32 ("type") or contiguous ("layout") all the same: operators, shape after N, and why.
Allowance = tuple[str, tuple[str, ...] | None, tuple[int, ...], str]
EXCEPTIONS: tuple[Allowance, ...] = (
    ("type", None, (3, 128, 128), "images are float32 by contract: G returns them, D takes them; so is their gradient"),
    ("type", ("avg_pool2d", "avg_pool2d_backward", *AT_REST), (3, 64, 64), "the image's skip is pooled as it comes"),
    ("layout", AT_REST, (1024, 4, 4), "a linear layer's rows become features, and their gradient rows, by one copy"),
    ("type", AT_REST, (1024, 4, 4), "the sum over space is float32, and its gradient is cast"),
    ("layout", ("threshold_backward",), (1024, 4, 4), "that gradient is one number a channel, repeated"),
)


def _offences(launches: Iterable[Launch]) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return operator, offence and shape of all features (N, C, H, W) that are not bfloat16 or not channels-last."""
    found = []
    for launch in launches:
        for shape, stride, dtype in (*launch.inputs, *launch.outputs):
            if len(shape) == 4 and shape[0] == N and shape[1] > 1 and shape[2] * shape[3] > 1:
                found += [(launch.name, "type", shape[1:])] if dtype == torch.float32 else []
                found += [(launch.name, "layout", shape[1:])] if stride[1] != 1 else []
    return found


def _exceptions(name: str, offence: str, shape: tuple[int, ...]) -> list[Allowance]:
    return [row for row in EXCEPTIONS if row[0] == offence and row[2] == shape and (row[1] is None or name in row[1])]


@pytest.fixture(scope="module")
def traces() -> dict[tuple[str, bool], list[Launch]]:
    """Both updates at 128 px and full width; with the kernels that a GPU runs, and as PyTorch's tools see them."""
    config = load_config("imagenet_128_projection", [])
    return {
        (network, has_kernels): trace_update(config, network, batch=N, has_kernels=has_kernels)
        for network, has_kernels in (("D", False), ("G", False), ("G", True))
    }


@pytest.mark.slow
def test_no_feature_at_128_px_is_float32_or_contiguous(traces: dict[tuple[str, bool], list[Launch]]) -> None:
    excepted = set()
    for (_, has_kernels), launches in traces.items():
        names = {launch.name for launch in launches}
        assert {"convolution", "convolution_backward", "relu", "threshold_backward", "avg_pool2d"} <= names
        assert ("batch_norm_relu" in names, "native_batch_norm" in names) == (has_kernels, not has_kernels)
        assert {launch.is_backward for launch in launches} == {False, True}
        for offence in _offences(launches):
            reasons = _exceptions(*offence)
            assert reasons, offence
            excepted.update(reasons)
    assert excepted == set(EXCEPTIONS)


def test_a_folded_kernel_is_copied_once_and_a_gradient_never(traces: dict[tuple[str, bool], list[Launch]]) -> None:
    """A transposed convolution takes its kernel in another order than that of the weight."""
    ups = [(1024, 512), (512, 256), (256, 128), (128, 64)]
    for (network, _), launches in traces.items():
        copies = [launch for launch in launches if launch.name == "clone" and launch.outputs[0].shape[0] != N]
        assert sorted((*c_io, 4, 4) for c_io in ups) == sorted(launch.outputs[0].shape for launch in copies), network
        assert not any(launch.is_backward for launch in copies)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["D", "G"])
def test_the_other_forms_convolve_channels_last_too(network: str) -> None:
    speed = SpeedConfig(convolution="shuffled", pad_channels=True)
    config = load_config("cifar10_32_projection", ["generator.channels=16", "discriminator.channels=16"])
    launches = trace_update(config, network, batch=N, speed=speed)
    convolutions = [launch for launch in launches if launch.name.startswith("convolution")]
    kernels = {launch.inputs[-1 if launch.is_backward else 1].shape for launch in convolutions}
    assert {(64, 16, 2, 2), (16, 64, 2, 2)} & kernels
    assert (16, 8, 3, 3) in kernels
    assert _offences(convolutions) == []
    padded = [launch.outputs[0] for launch in launches if launch.name == "constant_pad_nd"]
    assert {features.dtype for features in padded if features.shape[2:] == (32, 32)} == {torch.bfloat16}


@pytest.mark.slow
def test_label_planes_join_in_type_and_layout_of_the_features() -> None:
    config = load_config("imagenet_128_concat", ["generator.channels=16", "discriminator.channels=16"])
    launches = [launch for launch in trace_update(config, "D", batch=N) if launch.name == "cat"]
    joins = [launch for launch in launches if len(launch.inputs[0].shape) == 4]
    assert len(joins) == len(launches) - 1 == 2  # the other is of scores
    assert _offences(joins) == []


def test_an_offence_is_found() -> None:
    speed = SpeedConfig(memory_format="contiguous")
    config = load_config("cifar10_32_projection", ["generator.channels=16", "discriminator.channels=16"])
    assert ("convolution", "layout", (16, 4, 4)) in _offences(trace_update(config, "G", batch=N, speed=speed))
    operand = Operand((N, 4, 2, 2), (16, 1, 8, 4), torch.float32)
    assert _offences([Launch("relu", (operand,), (), False)]) == [("relu", "type", (4, 2, 2))]


def test_the_command_prints_launches_and_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preset = tmp_path / "small.yaml"
    preset.write_text(
        "num_classes: 10\nresolution: 32\ngenerator: {channels: 8}\ndiscriminator: {channels: 8}\ndata: {path: none}\n"
    )
    assert benchmark_main(["--preset", str(preset), "--batch", "2", "--convolution", "plain", "--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[::2]] == ["D, batch 2", "G, batch 4"]
    assert all("launches" in line for line in lines[::2])
    assert len(lines) == 4


NETWORKS = {
    "cnn": GeneratorConfig(resolution=32, num_classes=3, architecture="cnn", channels=4),
    "dcgan": GeneratorConfig(resolution=32, num_classes=3, architecture="dcgan", channels=4),
    "mnist": GeneratorConfig(resolution=28, num_classes=3, architecture="mnist", channels=4),
    "resnet": GeneratorConfig(resolution=32, num_classes=3, channels=4),
    "concat": DiscriminatorConfig(resolution=64, num_classes=3, channels=4, head="concat", embed_dim=5),
    "autoencoder": DiscriminatorConfig(
        resolution=32, num_classes=0, channels=4, architecture="cnn", head="reconstruction"
    ),
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_convolution_takes_the_layout_of_the_weights(name: str) -> None:
    config = NETWORKS[name]
    with torch.device("meta"):
        network: nn.Module = Generator(config) if isinstance(config, GeneratorConfig) else Discriminator(config)
    lay_out(network, SpeedConfig(), CUDA)
    trace = Trace()
    with fake_gpu(), trace:
        network._apply(lambda t: torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=CUDA))
        y = torch.empty(N, dtype=torch.int64, device=CUDA) if config.num_classes else None
        if isinstance(config, GeneratorConfig):
            network(torch.empty(N, config.latent_dim, device=CUDA), y)
        else:
            side = config.resolution
            network(torch.empty(N, side, side, 3, device=CUDA).permute(0, 3, 1, 2), y)
    convolutions = [launch for launch in trace.launches if launch.name == "convolution"]
    assert len(convolutions) >= 2
    assert [offence for offence in _offences(convolutions) if offence[1] == "layout"] == []


def test_the_backward_pass_of_the_trace_is_pytorchs() -> None:
    torch.manual_seed(0)
    G = Generator(GeneratorConfig(resolution=32, num_classes=3, channels=8))
    D = Discriminator(DiscriminatorConfig(resolution=32, num_classes=3, channels=8))
    z, y = torch.randn(2, 128), torch.tensor([0, 2])

    def gradients(backward: object) -> list[Tensor]:
        score = D(G(z, y), y).score
        backward((score.sum() * score).sum())
        return [parameter.grad for parameter in (*G.parameters(), *D.parameters())]

    expected = gradients(Tensor.backward)
    for parameter in (*G.parameters(), *D.parameters()):
        parameter.grad = None
    assert all(torch.equal(a, b) for a, b in zip(gradients(run_backward), expected, strict=True))
