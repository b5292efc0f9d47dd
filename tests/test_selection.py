"""Which tests a command runs, and that only `-m gpu` sees a GPU."""

import os
from types import SimpleNamespace

import pytest
import torch

from tests.conftest import pytest_collection_modifyitems
from tests.processes import python


def test_neither_these_tests_nor_what_they_start_see_a_gpu() -> None:
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert not torch.cuda.is_available()
    seen = python("-c", "import os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']))").stdout
    assert seen == "''\n"


class Item:
    """A test as collected, with the names of its markers."""

    def __init__(self, *markers: str) -> None:
        self.markers = list(markers)

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.markers else None

    def add_marker(self, marker: pytest.MarkDecorator) -> None:
        self.markers.append(marker.name)


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("gpu", ["gpu", "slow", ""]),
        ("gpu and not slow", ["gpu", "slow", ""]),  # pytest itself takes the others out
        ("not slow", ["slow", ""]),
        ("slow", ["slow", ""]),
        ("not gpu", ["slow", ""]),
        ("", ["gpu skip", "slow", ""]),
    ],
)
def test_gpu_tests_run_where_they_are_asked_for(expression: str, selected: list[str]) -> None:
    items = [Item("gpu"), Item("slow"), Item()]
    deselected: list[Item] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: deselected.extend(items))
    config = SimpleNamespace(option=SimpleNamespace(markexpr=expression), hook=hook)
    pytest_collection_modifyitems(config, items)  # type: ignore[arg-type]  # what it looks at
    assert [" ".join(item.markers) for item in items] == selected
    assert len(items) + len(deselected) == 3
