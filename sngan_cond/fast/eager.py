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
    # Every layer asks, so what costs least and says most comes first.
    if torch.compiler.is_compiling() or torch._C._is_tracing() or torch._C._are_functorch_transforms_active():
        return False
    if torch._C._len_torch_dispatch_stack() and any(map(torch._C._get_dispatch_mode, _RECORDERS)):
        return False
    return all(map(_is_plain, tensors))


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
    if type(tensor) not in (Tensor, nn.Parameter) or not torch._C._has_storage(tensor):  # type: ignore[arg-type]
        return False
    return forward_ad._current_level < 0 or forward_ad.unpack_dual(tensor).tangent is None
