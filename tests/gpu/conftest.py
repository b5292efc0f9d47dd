"""What the tests of GPUs share: the device, float32 that is float32, and a look at whether graphs were played."""

import os
from collections.abc import Iterator

import pytest
import torch

from tests.conftest import DRY_RUN
from tests.train.conftest import _fresh_accelerator as _fresh_accelerator
from tests.train.conftest import tiny_data as tiny_data
from train.run.numerics import exact_float32


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The first GPU, or the CPU in a dry run."""
    if os.environ.get(DRY_RUN) == "cpu":
        return torch.device("cpu")
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # read when cuBLAS starts; as deterministic runs have it
    return torch.device("cuda")


@pytest.fixture(scope="session", autouse=True)
def _float32_is_not_rounded() -> Iterator[None]:
    """TF32 would hide errors of up to 1e-3."""
    with exact_float32():
        yield


@pytest.fixture
def deterministic() -> Iterator[None]:
    """What `deterministic=true` asks of PyTorch; without an error for what has no such kernel, as in a run."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[torch.cuda.CUDAGraph]:
    """The graph of every replay during the test."""
    played: list[torch.cuda.CUDAGraph] = []

    class Noted(torch.cuda.CUDAGraph):
        def replay(self) -> None:
            played.append(self)
            super().replay()

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Noted)
    return played
