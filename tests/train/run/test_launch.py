"""What a run takes from `accelerate launch`, and what it refuses."""

import ast
import os
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sngan_cond import Generator, GeneratorConfig
from tests.processes import ROOT, run
from tests.refusals import refused_command
from tests.train.launch import TWO, refused_run, tiny_command
from train import evaluate
from train.config import TrainConfig
from train.run.launch import AnyRankFlag, open_accelerator
from train.trainer.state import synchronised


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", "--dynamo_backend inductor: use no; speed.compile decides"),
        ("ACCELERATE_MIXED_PRECISION", "fp16", "mixed precision fp16"),
    ],
)
def test_what_two_networks_cannot_use_is_refused(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setattr("train.run.launch._end_with_launcher", lambda: None)  # this process is the tests'
    monkeypatch.setenv(variable, value)
    refused_run(tiny_command(tiny_data, tmp_path / "run"), message)


def test_a_tracker_that_is_not_installed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_data: Path
) -> None:
    monkeypatch.setattr("train.run.launch.get_available_trackers", lambda: [])
    command = tiny_command(tiny_data, tmp_path / "run", "trackers=[wandb]")
    refused_run(command, "trackers=wandb: the package is not installed; pip install -e '.[wandb]' brings it")


@pytest.mark.slow
@pytest.mark.parametrize("program", ["train", "train.evaluate"])
def test_a_process_that_never_comes_is_said_in_one_line(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "0")
    for name, value in (("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", 2), ("LOCAL_WORLD_SIZE", 2)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("train.run.launch.collective_timeout", lambda _: timedelta(seconds=1))
    words = "the processes of the launch do not meet within 1 s (Timed "
    if program == "train":
        refused_run(tiny_command(tiny_data, tmp_path / "run"), words)
    else:
        arguments = ["--model", "bundled", "--data", tiny_data, "--protocol", "quick", "--out", tmp_path / "m.json"]
        refused_command(evaluate.main, arguments, words)


def test_deterministic_asks_pytorch_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        open_accelerator(TrainConfig(trackers=()), tmp_path)
        assert not torch.are_deterministic_algorithms_enabled()
        open_accelerator(TrainConfig(trackers=(), deterministic=True), tmp_path)
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("yes", [False, True])
def test_a_vote_of_one(tmp_path: Path, yes: bool) -> None:
    accelerator, _ = open_accelerator(TrainConfig(trackers=()), tmp_path)
    assert AnyRankFlag(accelerator, yes).read() is yes


@pytest.mark.parametrize(("others", "yes"), [(0, True), (1, False), (1, True), (7, True)])
def test_a_vote_of_several_is_yes_if_any_of_them_says_so(others: int, yes: bool) -> None:
    """Of all too, as where a scheduler signals every process."""

    def reduce(vote: torch.Tensor, how: str) -> torch.Tensor:
        assert how == "sum"
        return vote + others

    accelerator = SimpleNamespace(device=torch.device("cpu"), reduce=reduce)
    assert AnyRankFlag(accelerator, yes).read()  # type: ignore[arg-type]  # the part of it that is asked


@pytest.mark.parametrize(("architecture", "resolution"), [("resnet", 32), ("cnn", 32), ("dcgan", 32), ("mnist", 28)])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_synchronised_batch_norms_are_called_like_the_others(
    architecture: str, resolution: int, num_classes: int
) -> None:
    """In eval mode, the only one that PyTorch's synchronised form has on a CPU."""
    config = GeneratorConfig(
        resolution=resolution, num_classes=num_classes, channels=8, latent_dim=6, architecture=architecture
    )
    torch.manual_seed(0)
    G = Generator(config).eval()
    z, y = torch.randn(3, 6), torch.tensor([0, 2, 1]) if num_classes else None
    expected = G(z, y)
    torch.testing.assert_close(synchronised(G)(z, y), expected)
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in G.modules())


@pytest.mark.slow
def test_two_processes_agree_on_a_vote(tmp_path: Path) -> None:
    script = tmp_path / "vote.py"
    script.write_text(
        "import sys\n"
        "from accelerate import Accelerator\n"
        "from train.run.launch import AnyRankFlag\n"
        "accelerator = Accelerator(cpu=True)\n"
        "answers = [AnyRankFlag(accelerator, rank == accelerator.process_index).read() for rank in (0, 1, 5)]\n"
        "print(answers)\n"
        "accelerator.end_training()\n"
    )
    assert run([*TWO, script], PYTHONPATH=".").stdout.count("[True, True, False]") == 2


@pytest.mark.slow
def test_nothing_imports_a_module_that_only_posix_has() -> None:
    """filelock and others choose by platform; `tests/train/test_without_posix.py` prepares data without them."""
    posix = {"fcntl", "grp", "pwd", "resource", "termios"}
    for path in (path for room in ("sngan_cond", "train", "app") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:  # no relative import
                names = [node.module]
            assert posix.isdisjoint(name.partition(".")[0] for name in names), path
