"""What a run computes in: which precision, why, what else a GPU may round, and that a run goes on in one of them."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.state import AcceleratorState

from tests.refusals import refused
from tests.train.launch import refused_run, run_here, tiny_command
from train.config import TrainConfig
from train.errors import TrainError
from train.run import launch
from train.run.numerics import (
    Gpu,
    Numerics,
    decide_numerics,
    exact_float32,
    gpu_of,
    precision_of_checkpoints,
    set_numerics,
)
from train.sections import SpeedConfig

HOPPER, TURING = Gpu(bf16=True, tf32=True), Gpu(bf16=False, tf32=False)


def decide(
    precision: str = "auto", launched: str = "no", made_in: str | None = None, gpu: Gpu | None = None, **config: object
) -> Numerics:
    asked = TrainConfig(precision=precision, **config)  # type: ignore[arg-type]
    return decide_numerics(asked, launched=launched, made_in=made_in, gpu=gpu)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("precision", "launched", "made_in", "gpu", "taken", "reason"),
    [
        ("auto", "no", None, HOPPER, "bf16", "for this GPU computes in it (precision=fp32 asks for float32)"),
        ("auto", "no", None, TURING, "fp32", "for this GPU does not compute in bfloat16"),
        ("auto", "no", None, None, "fp32", "as everywhere but on GPUs"),
        ("auto", "bf16", None, None, "bf16", "as accelerate launch says"),
        ("auto", "bf16", None, HOPPER, "bf16", "as accelerate launch says"),
        ("auto", "no", "fp32", HOPPER, "fp32", "as in this run's checkpoints"),
        ("auto", "no", "bf16", None, "bf16", "as in this run's checkpoints"),
        ("auto", "bf16", "bf16", None, "bf16", "as accelerate launch says"),
        ("fp32", "no", None, HOPPER, "fp32", "as asked for"),
        ("fp32", "bf16", None, None, "fp32", "as asked for"),
        ("fp32", "fp16", None, HOPPER, "fp32", "as asked for"),
        ("bf16", "no", None, None, "bf16", "as asked for"),
    ],
)
def test_auto_is_bfloat16_where_a_gpu_computes_in_it(
    precision: str, launched: str, made_in: str | None, gpu: Gpu | None, taken: str, reason: str
) -> None:
    found = decide(precision, launched, made_in, gpu)
    assert found.precision == taken
    assert found.line().startswith(f"precision: {taken}, {reason}")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("auto", "fp16", None, HOPPER), "mixed precision fp16: one loss scale cannot serve two networks"),
        (("auto", "fp8", None, None), "mixed precision fp8: one loss scale"),
        (("bf16", "no", None, TURING), "precision=bf16, as asked for: this GPU does not compute in bfloat16; fp32 is"),
        (("auto", "bf16", None, TURING), "as accelerate launch says: this GPU does not compute in bfloat16"),
        (("auto", "no", "bf16", TURING), "as in this run's checkpoints: this GPU does not compute in bfloat16"),
        (("auto", "bf16", "fp32", None), "precision=bf16, as accelerate launch says: the checkpoints of this run were"),
        (("fp32", "no", "bf16", HOPPER), "were made in bf16, and a run goes on in one precision; bf16 is allowed"),
    ],
)
def test_a_precision_that_cannot_be_had_or_would_change_is_refused(asked: tuple, said: str) -> None:
    refused(lambda: decide(*asked), said, by=TrainError)


@pytest.mark.parametrize(
    ("gpu", "precision", "deterministic", "tf32", "expected"),
    [
        (HOPPER, "fp32", False, "auto", (True, True)),
        (HOPPER, "bf16", False, "auto", (False, True)),
        (HOPPER, "fp32", True, "auto", (False, False)),
        (HOPPER, "fp32", False, False, (False, True)),
        (HOPPER, "bf16", True, True, (True, False)),
        (TURING, "fp32", False, "auto", (False, True)),
        (None, "fp32", False, "auto", (False, False)),
        (None, "bf16", False, True, (False, False)),
    ],
)
def test_float32_runs_on_gpus_take_tf32_and_timed_algorithms_unless_deterministic(
    gpu: Gpu | None, precision: str, deterministic: bool, tf32: bool | str, expected: tuple[bool, bool]
) -> None:
    speed = SpeedConfig(tf32=tf32)  # type: ignore[arg-type]
    found = decide(precision, gpu=gpu, deterministic=deterministic, speed=speed)
    assert (found.tf32, found.cudnn_benchmark) == expected
    assert ("products in TF32 (speed.tf32=false" in found.line(), "cudnn.benchmark on" in found.line()) == expected
    assert found.facts() == {"precision": precision, "tf32": expected[0], "cudnn_benchmark": expected[1]}


@pytest.mark.parametrize(("major", "expected"), [(9, HOPPER), (8, HOPPER), (7, TURING)])
def test_a_gpu_that_emulates_bfloat16_does_not_compute_in_it(
    monkeypatch: pytest.MonkeyPatch, major: int, expected: Gpu
) -> None:
    """By PyTorch's own answers, with the compute capability alone replaced."""
    assert gpu_of(torch.device("cpu")) is None
    assert gpu_of(torch.device("meta")) is None
    monkeypatch.setattr(torch.version, "hip", None)
    for name, value in {
        "is_available": lambda: True,
        "current_device": lambda: 0,
        "device": lambda _: nullcontext(),
        "get_device_properties": lambda *_: SimpleNamespace(major=major),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    assert gpu_of(torch.device("cuda", 0)) == expected


def test_several_gpus_take_what_the_weakest_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two processes; the other's answer is put in the place of an exchange."""
    state = SimpleNamespace(device=torch.device("cuda"), num_processes=2)
    monkeypatch.setattr(launch, "gpu_of", lambda _: HOPPER)
    monkeypatch.setattr(launch, "gather_object", lambda own: [*own, Gpu(bf16=False, tf32=True)])
    assert launch._weakest_gpu(state) == Gpu(bf16=False, tf32=True)
    state.num_processes = 1
    assert launch._weakest_gpu(state) == HOPPER


def settings() -> tuple[str, bool, bool]:
    cudnn = torch.backends.cudnn
    return torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark


@pytest.fixture
def _settings() -> Iterator[None]:
    before = settings()
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before[1:]


@pytest.mark.usefixtures("_settings")
def test_numerics_are_set_on_a_gpu_and_left_alone_elsewhere() -> None:
    before = settings()
    set_numerics(torch.device("cpu"), tf32=True, cudnn_benchmark=True)
    assert settings() == before
    set_numerics(torch.device("cuda"), tf32=True, cudnn_benchmark=False)  # only its name is looked at
    assert settings() == ("high", True, False)
    set_numerics(torch.device("cuda"), tf32=False, cudnn_benchmark=True)
    assert settings() == ("highest", False, True)


@pytest.mark.usefixtures("_settings")
def test_scores_are_computed_in_whole_float32_and_leave_the_settings_alone() -> None:
    set_numerics(torch.device("cuda"), tf32=True, cudnn_benchmark=True)
    with exact_float32():
        assert settings() == ("highest", False, False)
    assert settings() == ("high", True, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"hardware": {"mixed_precision": "no"}}', "fp32"),  # as 0.1.0 wrote it
        ('{"hardware": {"mixed_precision": "bf16"}}', "bf16"),
        ('{"hardware": {}, "numerics": {"precision": "bf16", "tf32": false}}', "bf16"),
    ],
)
def test_checkpoints_say_their_precision(tmp_path: Path, text: str, expected: str) -> None:
    assert precision_of_checkpoints(tmp_path) is None
    (tmp_path / "training.json").write_text(text)
    assert precision_of_checkpoints(tmp_path) == expected


@pytest.mark.parametrize("text", ["{", "{}", '{"numerics": 3}', '{"hardware": {"mixed_precision": "fp16"}}'])
def test_a_record_without_a_precision_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "training.json").write_text(text)
    said = "training.json: does not say in what precision the run is ("
    refused(lambda: precision_of_checkpoints(tmp_path), said, by=TrainError)


def test_a_run_says_and_keeps_its_precision(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that began on a GPU goes on in bfloat16; what the GPU would do, the processor emulates."""
    command = tiny_command(tiny_data, tmp_path / "run", "steps=2", "decay_from=null")
    with monkeypatch.context() as on_gpu:
        on_gpu.setattr(launch, "gpu_of", lambda _: HOPPER)
        assert run_here(command) == 0
    said = "precision: bf16, for this GPU computes in it (precision=fp32 asks for float32); cudnn.benchmark on"
    assert capsys.readouterr().out.splitlines().count(said) == 1
    taken = {"precision": "bf16", "tf32": False, "cudnn_benchmark": True}
    assert json.loads((tmp_path / "run/checkpoints/step-00000002/training.json").read_text())["numerics"] == taken
    AcceleratorState._reset_state(reset_partial_state=True)
    assert run_here([*command, "steps=3"]) == 0
    assert "precision: bf16, as in this run's checkpoints\n" in capsys.readouterr().out
    AcceleratorState._reset_state(reset_partial_state=True)
    refused_run([*command, "precision=fp32"], "were made in bf16, and a run goes on in one precision")
