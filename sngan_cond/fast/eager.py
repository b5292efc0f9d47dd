"""When kernels of our own may run: where PyTorch's tools neither record nor transform what is computed."""

# mypy: disable-error-code="import-untyped, no-untyped-call"

import functools
import importlib.util

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

# Dispatch modes that compute something else than values, or record how values are computed. Others look on, such as a
# counter of operations, and may see less with these kernels, but the same results.
_RECORDERS = (
    torch._C._TorchDispatchModeKey.FAKE,
    torch._C._TorchDispatchModeKey.PROXY,
    torch._C._TorchDispatchModeKey.FUNCTIONAL,
)


def runs_eagerly(*tensors: object) -> bool:
    """Return whether operations on these tensors only compute values, now.

    Kernels that work on addresses are no operators to PyTorch. Compilers, tracers, `torch.export`, fake tensors,
    `torch.func` and forward-mode differentiation need the plain operations instead, and get them.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return False
    if torch._C._are_functorch_transforms_active() or any(map(torch._C._get_dispatch_mode, _RECORDERS)):
        return False
    return all(_is_plain(tensor) for tensor in tensors)


@functools.cache
def has_triton() -> bool:
    """Return whether kernels in Triton run on the GPU here; PyTorch's own take their place where they do not.

    Builds of PyTorch with CUDA bring Triton, but not on Windows. It builds its driver when first used, which takes a C
    compiler and Python's headers, and machines that only sample have often neither.
    """
    if torch.version.cuda is None or importlib.util.find_spec("triton") is None:
        return False
    from triton.runtime import driver

    try:
        arch: int = driver.active.get_current_target().arch
    except Exception:  # a missing compiler, header, library or GPU: each version of Triton has its own errors
        return False
    return arch >= 70  # Volta: Triton knows no older ones


def _is_plain(tensor: object) -> bool:
    """Return whether this is a tensor in memory; the batched gradients of `is_grads_batched=True` are not."""
    if not isinstance(tensor, Tensor) or type(tensor) not in (Tensor, nn.Parameter):
        return False
    return torch._C._has_storage(tensor) and forward_ad.unpack_dual(tensor).tangent is None
