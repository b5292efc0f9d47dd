"""Speed switches: what is refused by name, and that none changes a trajectory beyond rounding."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import step as step_benchmark
from sngan_cond import Constraint, ConstraintConfig, build_constraint
from tests.train.trainer.short_run import short_run
from train.trainer.speed import SpeedConfig, SpeedPlan, plan_speed
from train.trainer.state import load_moments, moments

CPU = torch.device("cpu")
GPU = torch.device("cuda")  # only its name is looked at


def _plan(device: torch.device, *, constraint: ConstraintConfig | None = None, **kwargs: object) -> SpeedPlan:
    built = build_constraint(constraint or ConstraintConfig())
    facts = {"exchanges_statistics": False, **kwargs}
    config = facts.pop("config", SpeedConfig())
    return plan_speed(config, device=device, constraint=built, **facts)


def test_auto_is_everything_on_a_gpu_and_nothing_on_a_cpu() -> None:
    """But for what the official semantics rule out: one call of D."""
    assert _plan(GPU) == SpeedPlan(True, True, True, True, True, False, ())
    assert _plan(CPU) == SpeedPlan(False, False, False, False, False, False, ())


def test_what_cannot_be_had_is_said_with_its_reason() -> None:
    plan = _plan(CPU, config=SpeedConfig(capture=True))
    assert not plan.capture_g
    assert plan.notes == tuple(f"capture of {name}: off, because CUDA graphs need a GPU" for name in "GD")
    plan = _plan(GPU, exchanges_statistics=True)
    assert (plan.compile_g, plan.compile_d, plan.capture_g, plan.capture_d) == (True, True, False, False)
    assert plan.notes == tuple(
        f"capture of {name}: off, because batch_norm=synchronised communicates inside the pass" for name in "GD"
    )
    plan = _plan(GPU, constraint=ConstraintConfig(gradient_penalty=10.0))
    assert (plan.compile_g, plan.compile_d, plan.capture_g, plan.capture_d) == (True, False, True, False)
    assert "differentiates twice" in plan.notes[0]
    assert "its constraint (kind, gradient_penalty) draws or changes more" in plan.notes[1]
    for estimate in ("bidirectional", "operator"):
        plan = _plan(GPU, constraint=ConstraintConfig(estimate=estimate))
        assert (plan.compile_d, plan.capture_d) == (False, True)
        assert "its constraint changes its state" in plan.notes[0]


def test_one_call_of_d_is_had_where_it_equals_two_and_told_of_only_if_asked_for() -> None:
    assert _plan(GPU, constraint=ConstraintConfig(power_iterations_at="update")).one_call
    assert _plan(CPU, constraint=ConstraintConfig(kind="none"), config=SpeedConfig(one_call=True)).one_call
    assert not _plan(CPU, constraint=ConstraintConfig(kind="none")).one_call
    plan = _plan(CPU, config=SpeedConfig(one_call=True))
    assert not plan.one_call
    assert plan.notes == ("one_call: off, because its constraint makes one call on all images another thing than two",)


def test_no_graph_replays_a_constraint_that_it_does_not_know() -> None:
    class Own(Constraint):
        def __init__(self) -> None:
            self.seen = 0

        def penalty(self, *_: object) -> torch.Tensor:
            return torch.rand(())

    plan = plan_speed(SpeedConfig(), device=GPU, constraint=Own(), exchanges_statistics=False)
    assert (plan.capture_g, plan.capture_d) == (True, False)
    assert "its constraint (Own) draws or changes more" in plan.notes[0]


def test_what_cannot_be_had_is_told_once() -> None:
    _, updates = short_run(SpeedConfig(capture=True), steps=1)
    assert len(updates.new_notes()) == 2  # there is no GPU
    assert updates.new_notes() == []


# The first losses agree to rounding of sums of a few thousand float32; Adam then turns signs of tiny gradients.
@pytest.mark.parametrize(
    "speed",
    [
        SpeedConfig(convolution="strided"),
        SpeedConfig(convolution="shuffled", pad_channels=True),
        SpeedConfig(convolution="minimal"),
        SpeedConfig(memory_format="channels_last"),
        SpeedConfig(batched_sn=True),
    ],
    ids=lambda speed: ",".join(f"{k}={v}" for k, v in vars(speed).items() if v not in ("auto", False)),
)
def test_no_switch_changes_the_losses_beyond_rounding(speed: SpeedConfig) -> None:
    plain, _ = short_run(SpeedConfig(convolution="plain", memory_format="contiguous"))
    fast, _ = short_run(speed)
    assert fast[:2] == pytest.approx(plain[:2], rel=2e-5)
    assert fast == pytest.approx(plain, rel=5e-3)


def test_bfloat16_stays_near_float32(device: torch.device) -> None:
    """8 bits of mantissa: a relative 4e-3 a rounding, of which the deepest path has a dozen."""
    exact, _ = short_run(SpeedConfig(compile=False), device=device)
    rounded, updates = short_run(SpeedConfig(compile=False), device=device, mixed_precision="bf16")
    assert rounded[:2] == pytest.approx(exact[:2], rel=5e-2)
    assert rounded != exact
    for network in (updates.G, updates.D):
        assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_the_same_run_twice_is_the_same_to_the_bit() -> None:
    runs = [short_run(SpeedConfig()) for _ in range(2)]
    assert runs[0][0] == runs[1][0]
    for name, value in runs[0][1].D.state_dict().items():
        assert torch.equal(value, runs[1][1].D.state_dict()[name]), name


def test_loaded_moments_take_the_layout_of_their_parameters() -> None:
    _, updates = short_run(SpeedConfig(memory_format="channels_last"), steps=1)
    D, optimizer = updates.D, updates.opt_d
    parameter = next(p for p in D.parameters() if p.ndim == 4 and p.shape[1] > 3)
    kept = {name: tensor.clone().contiguous() for name, tensor in moments(D, optimizer).items()}
    expected = optimizer.state[parameter]["exp_avg_sq"].clone()
    assert expected.contiguous().stride() != parameter.stride()
    load_moments(D, optimizer, kept)
    found = optimizer.state[parameter]["exp_avg_sq"]
    assert found.stride() == parameter.stride()
    assert torch.equal(found, expected)


@pytest.mark.slow
def test_the_benchmark_writes_all_sides_and_both_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preset = tmp_path / "small.yaml"
    preset.write_text(
        "num_classes: 10\nresolution: 32\ngenerator: {channels: 8}\ndiscriminator: {channels: 8}\ndata: {path: none}\n"
    )
    out = tmp_path / "step.json"
    line = ["--preset", str(preset), "--device", "cpu", "--batch", "2", "--rounds", "2", "--quick", "--out", str(out)]
    assert step_benchmark.main([*line, "--switches", "convolution", "--rival", "eager"]) == 0
    written = json.loads(out.read_text())
    assert written["switches"] == ["convolution"]
    for side, ratio in (("reference", "ratio"), ("rival", "ratio_to_rival"), ("ours", None)):
        assert written[side]["d_update_s"] > 0 < written[side]["g_update_s"]
        assert ratio is None or written[ratio].keys() == {"d_update", "g_update"}
    printed = capsys.readouterr().out
    for side, ratio in (("reference", "ratio"), ("rival", "ratio_to_rival")):
        assert f", {side} {written[side]['g_update_s']:.3f} s {written[ratio]['g_update']:.2f}x" in printed
    assert step_benchmark.main([*line, "--switches", "fastest"]) == 2
    assert "--switches fastest: allowed are convolution" in capsys.readouterr().err
