from pathlib import Path

import pytest

from tests.train.launch import prepare_tiny


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 prepared shapes of ten classes at 32 px."""
    return prepare_tiny(tmp_path_factory.mktemp("data") / "tiny")
