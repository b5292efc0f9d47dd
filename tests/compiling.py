"""What tests ask of PyTorch's compiler."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def scalar_code() -> Iterator[None]:
    """Have C++ without vector instructions: planning them for every loop takes longer than all else, and is PyTorch's.

    Measured on the official trajectory, 87 files: 126 s in place of 187.
    """
    import torch._inductor.config  # here: it takes seconds, and quick tests that are collected need none

    with torch._inductor.config.patch({"cpp.simdlen": 1}):
        yield
