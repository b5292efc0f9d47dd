"""The rival computes what the reference computes, and a comparison without it says so."""

from functools import partial

import pytest
import torch
from torch import Tensor

from benchmarks import __main__ as bench
from benchmarks import step
from benchmarks.job import Job
from benchmarks.reference import ReferenceUpdates
from benchmarks.rival import Mode, RivalUpdates
from benchmarks.sides import GlobalSettings, Side
from sngan_cond import DiscriminatorConfig, GeneratorConfig
from train.presets.load import load_config

CPU = torch.device("cpu")


def _both(*, bf16: bool = False, mode: Mode | None = None) -> tuple[ReferenceUpdates, RivalUpdates]:
    """Build both with the same weights and the same state of the power iterations."""
    torch.manual_seed(0)
    configs = (config(resolution=32, num_classes=5, channels=4) for config in (GeneratorConfig, DiscriminatorConfig))
    g_config, d_config = configs
    reference = ReferenceUpdates(g_config, d_config, CPU)
    rival = RivalUpdates(g_config, d_config, CPU, bf16=bf16, mode=mode)
    rival.G.load_state_dict(reference.G.state_dict())
    rival.D.load_state_dict(reference.D.state_dict())
    return reference, rival


def _losses(updates: ReferenceUpdates, steps: int) -> list[float]:
    numbers = torch.Generator().manual_seed(1)

    def labels() -> Tensor:
        return torch.randint(5, (3,), generator=numbers)

    losses = []
    for _ in range(steps):
        losses.append(updates.generator(torch.randn(3, 128, generator=numbers), labels()).item())
        real = torch.rand(3, 3, 32, 32, generator=numbers) * 2 - 1
        losses.append(updates.discriminator(real, labels(), torch.randn(3, 128, generator=numbers), labels()).item())
    return losses


def test_the_eager_rival_is_the_reference_to_rounding() -> None:
    """Layout and fused Adam reorder sums of a few thousand float32; Adam then turns signs of tiny gradients."""
    reference, rival = _both()
    assert rival.D.blocks[1].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    theirs, own = _losses(reference, 3), _losses(rival, 3)
    assert own[:2] == pytest.approx(theirs[:2], rel=2e-5)
    assert own == pytest.approx(theirs, rel=2e-3)
    assert theirs[4] != pytest.approx(theirs[0], rel=1e-2)  # the updates moved them by more than that


def test_in_bfloat16_the_rival_stays_near_the_reference() -> None:
    """A rounding is 2^-9 of a value, and the deepest path has about a dozen."""
    reference, rival = _both(bf16=True)
    theirs, own = _losses(reference, 1), _losses(rival, 1)
    assert own == pytest.approx(theirs, rel=5e-2)
    assert own != theirs


@pytest.mark.slow
def test_the_compiled_rival_is_the_reference_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced and differentiated as a compiled one is, without the minutes of a C++ compiler for the kernels."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    reference, rival = _both(mode="default")
    assert rival.generator_loss.__wrapped__ == RivalUpdates.generator_loss.__get__(rival)  # it is traced
    assert _losses(rival, 2) == pytest.approx(_losses(reference, 2), rel=1e-3)


def test_each_side_has_its_own_numerics() -> None:
    def state() -> tuple[str, bool, bool]:
        backend = torch.backends.cudnn
        return torch.get_float32_matmul_precision(), backend.allow_tf32, backend.benchmark

    def look() -> Tensor:
        seen.append(state())
        return torch.zeros(())

    before, seen = state(), []

    for numerics in (
        GlobalSettings(tf32=True, cudnn_benchmark=False),
        GlobalSettings(tf32=False, cudnn_benchmark=True),
    ):
        Side(look, look, numerics, bf16=False).update("d")
    assert seen == [("high", True, False), ("highest", False, True)]
    assert state() == before


def test_a_rival_that_cannot_run_is_a_dash_and_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> Tensor:
        raise RuntimeError("No working C++ compiler\nfound")

    broken = Side(fail, fail, GlobalSettings(False, False), bf16=False)
    monkeypatch.setattr(step, "rival_side", lambda *_, **__: broken)
    config = load_config("cifar10_32_projection", ["generator.channels=4", "discriminator.channels=4"])
    result = step.measure(Job(config, CPU, 2, 2), (), rival="default", rounds=2, budget_s=60.0)
    assert result["rounds"] == 2
    assert result["ratio_to_rival"] is None
    assert "rival" not in result
    assert result["notes"][-1] == "rival: cannot run here: RuntimeError: No working C++ compiler found"
    step.print_result(result)
    printed = capsys.readouterr().out
    assert f"{result['ratio']['g_update']:.2f}x, rival -" in printed
    assert "note: rival: cannot run here" in printed


def test_the_last_table_of_make_bench_has_both_ratios_or_a_dash() -> None:
    ours = {"d_share_of_peak": 0.5, "g_share_of_peak": 0.25, "real_images_per_s": 123.4}
    row = {"ours": ours, "ratio": {"d_update": 2.0, "g_update": 3.0}, "ratio_to_rival": None}
    assert bench._line("name", row).split() == ["name", "2.00x", "3.00x", "-", "-", "50%", "25%", "123.4"]
    row["ratio_to_rival"] = {"d_update": 1.25, "g_update": 1.5}
    assert bench._line("name", row).split()[1:5] == ["2.00x", "3.00x", "1.25x", "1.50x"]
