from collections.abc import Iterator
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

from tests.train.launch import prepare_tiny, run_here, tiny_command
from tests.train.publishing.published_run import add_checkpoint


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 prepared shapes of ten classes at 32 px."""
    return prepare_tiny(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """A tiny run of 6 steps, each logged, with checkpoints at 2, 4 and 6 and grids of 0, 3 and 6; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "a"
    assert run_here(tiny_command(tiny_data, folder, "log_every=1", "keep_checkpoints=3")) == 0
    return folder


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run folder made by hand, with checkpoints of steps 2 and 4."""
    for step in (2, 4):
        add_checkpoint(tmp_path / "run", step)
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> Iterator[None]:
    """Let no test train under the precision or the processes of an earlier one, which Accelerate keeps."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
