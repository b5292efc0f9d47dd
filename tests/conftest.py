import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

# One thread: tiny tensors lose more to the meeting of threads than they gain, and sums keep their order.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.hub.client import HubClient
from tests.hub.stand_in import HubStandIn

if TYPE_CHECKING:
    import torch

DRY_RUN = "SNGAN_COND_GPU_TESTS_ON"  # "cpu" runs the bodies of the gpu tests where there is no GPU


def _asked_for_gpu(config: pytest.Config) -> bool:
    expression = config.option.markexpr
    return "gpu" in expression and "not gpu" not in expression


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs from all but `-m gpu`, before any test imports PyTorch; processes that tests start inherit it."""
    asked, dry = _asked_for_gpu(config), os.environ.get(DRY_RUN) == "cpu"
    if dry or not asked:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if asked:  # a warning is an error elsewhere; which ones the libraries of a GPU have is not known before one is met
        config.addinivalue_line("filterwarnings", "default")
    if asked and not dry:
        import torch

        if not torch.cuda.is_available():
            raise pytest.UsageError(f"-m gpu: no CUDA device works here; {DRY_RUN}=cpu tries the tests on the CPU")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the gpu tests out of every other selection, and skip them by name where there is none."""
    if _asked_for_gpu(config):
        return
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    if config.option.markexpr:
        items[:] = [item for item in items if not item.get_closest_marker("gpu")]
        config.hook.pytest_deselected(items=gpu)
    for item in gpu:
        item.add_marker(pytest.mark.skip(reason="runs with -m gpu"))


@pytest.fixture(scope="session")
def device() -> "torch.device":
    """Where a test computes that also has a GPU's form; `tests/gpu` has another."""
    import torch

    return torch.device("cpu")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubStandIn]:
    """A Hub on loopback, empty for each module."""
    with HubStandIn(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    """The real client in a process of its own, logged in to `hub` as alice."""
    home = tmp_path_factory.mktemp("home")
    with HubClient(hub.environment(home), home / "log.txt") as client:
        yield client


IMPATIENT = """
from sngan_cond.hub import errors, patience
patience.ANSWER_S, patience.SILENCE_S, patience.GRACE_S, errors._PAUSES_S = 0.5, 1.2, 1.0, (0.01, 0.01)
"""


@pytest.fixture(scope="module")
def impatient(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    """As `client`, and it waits little more than a second for an answer, over all its tries."""
    home = tmp_path_factory.mktemp("impatient")
    environment = hub.environment(home) | {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
    with HubClient(environment, home / "log.txt") as client:
        client.run(IMPATIENT)
        yield client
