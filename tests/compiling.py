"""What tests ask of PyTorch's compiler."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch import nn


@contextmanager
def little_code(*, size: int) -> Iterator[None]:
    """Have every compiled part captured, differentiated and decomposed, and only small ones generated as C++.

    What generating C++ adds is PyTorch's own, and takes most of a minute for the official trajectory.

    Args:
        size: a part with more parameters is run as decomposed operations.
    """
    compiled = nn.Module.compile

    def compile_part(part: nn.Module, **options: Any) -> None:
        small = sum(parameter.numel() for parameter in part.parameters()) <= size
        compiled(part, backend="inductor" if small else "aot_eager_decomp_partition", **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "compile", compile_part)
        yield
