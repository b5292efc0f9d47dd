"""The Triton kernels as far as a machine without a GPU goes: run in Triton's interpreter, and compiled for an H100."""

import importlib.util
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import python

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")

INTEGERS = ("pixels", "channels", "parts", "steps", "blocks", "row", "stride", "part_pixels")
FEATURES = ("x", "grad", "y", "grad_x")
REGISTERS = 65536  # of one of an H100's multiprocessors


def in_interpreter(*checks: str) -> str:
    return python("-m", "tests.sngan_cond.fast.in_interpreter", *checks, TRITON_INTERPRET="1").stdout


@pytest.mark.slow
def test_kernels_agree_with_float64() -> None:
    assert in_interpreter("power_iteration", "batch_norm") == "agreed\n"


@pytest.mark.slow
def test_batch_norm_agrees_in_all_combinations() -> None:
    assert in_interpreter("batch_norm_in_all_combinations") == "agreed\n"


def _constants(kernel: str) -> dict[str, Any]:
    """Return the sizes that launches for the 128 px networks pass."""
    from sngan_cond.fast import batch_norm_triton as norm
    from sngan_cond.fast import power_iteration_triton as spectral

    def tile(numbers: int) -> dict[str, Any]:
        return dict(zip(("PIXELS", "CHANNELS"), norm._tile(128 * 128, 64, numbers), strict=True))

    spectral_sizes = {"ROWS": spectral.ROWS, "COLUMNS": spectral.COLUMNS, "SHARES": 512}
    return {
        "_moments_kernel": tile(norm.SUMMED_TILE),
        "_merge_kernel": {"PARTS": 2048},
        "_norm_relu_kernel": tile(norm.TILE),
        "_affine_gradients_kernel": tile(norm.SUMMED_TILE),
        "_feature_gradient_kernel": tile(norm.TILE),
        "_columns_kernel": {**spectral_sizes, "DEPTH": spectral.DEPTH, "FIRST": False},
        "_rows_kernel": {**spectral_sizes, "WIDTH": spectral.WIDTH},
        "_finish_kernel": {**spectral_sizes, "BLOCK": spectral.BLOCK},
    }[kernel]


def _kernels() -> Iterator[Any]:
    """Yield every kernel that is launched: all jitted functions but those that others call."""
    from triton.runtime import JITFunction

    from sngan_cond.fast import batch_norm_triton, power_iteration_triton

    for module in (batch_norm_triton, power_iteration_triton):
        for name, function in inspect.getmembers(module, lambda member: isinstance(member, JITFunction)):
            if name.endswith("_kernel"):
                yield function


def _compiled(kernel: Any, dtype: str, constants: dict[str, Any], *, aligned: bool) -> Any:
    """Compile for sm_90, as a launch with tensors of this type does.

    Args:
        aligned: whether numbers of channels and pixels are multiples of 16, which launches tell the compiler.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, attributes = {}, {}
    for i, name in enumerate(kernel.arg_names):
        tables = "table" in kernel.arg_names and name in ("table", "blocks")
        pointer = "*i64" if tables else f"*{dtype}" if name in FEATURES else "*fp32"
        scalar = "i32" if name in INTEGERS and not tables else "fp32" if name == "eps" else None
        signature[name] = "constexpr" if name in constants else scalar or pointer
        if signature[name].startswith("*") or (aligned and name in ("channels", "pixels", "row", "stride")):
            attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32))


def _resources(ptx: str, folder: Path) -> tuple[int, int]:
    """Return registers of a thread, and bytes that did not fit into them."""
    import triton

    (folder / "kernel.ptx").write_text(ptx)
    words = [triton.knobs.nvidia.ptxas.path, "-v", "--gpu-name", "sm_90a", "kernel.ptx", "-o", "kernel.cubin"]
    report = subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stderr
    spilled = sum(map(int, re.findall(r"(\d+) bytes spill", report)))
    (registers,) = re.findall(r"Used (\d+) registers", report)
    return int(registers), spilled


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_kernels_compile_for_an_h100(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    names = []
    for kernel in _kernels():
        names.append(kernel.__name__)
        constants = _constants(kernel.__name__)
        compiled = _compiled(kernel, dtype, constants, aligned=True)
        assert compiled.asm["cubin"][:4] == b"\x7fELF"
        registers, spilled = _resources(compiled.asm["ptx"], tmp_path)
        assert spilled == 0, kernel.__name__
        assert compiled.metadata.shared <= 4096, kernel.__name__  # of 227 KB: sums across the threads of a program
        threads = 32 * compiled.metadata.num_warps
        # What the sizes were chosen for: 18 KB on their way to a multiprocessor, a tile for each resident program.
        if "PIXELS" in constants:
            loads = sum(name in ("x", "grad") for name in kernel.arg_names)
            tile = constants["PIXELS"] * constants["CHANNELS"] * {"bf16": 2, "fp32": 4}[dtype] * loads
            assert REGISTERS // (threads * registers) * tile > 18_000, kernel.__name__
            assert "ld.global.v4.b32" in compiled.asm["ptx"]  # 16 bytes a thread
        if "FIRST" in constants or "WIDTH" in constants:
            assert REGISTERS // (threads * registers) * 8192 > 18_000, kernel.__name__
    assert len(names) == 8


@pytest.mark.slow
@pytest.mark.parametrize("ones", [False, True], ids=["unaligned", "ones"])
def test_kernels_compile_for_odd_sizes(ones: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Launches make constants of numbers that are 1."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    for kernel in _kernels():
        if "pixels" in kernel.arg_names:
            constants = dict.fromkeys(_constants(kernel.__name__), 4)
            if ones:
                constants = {name: 1 for name in kernel.arg_names if name in (*constants, *INTEGERS)}
            _compiled(kernel, "fp16", constants, aligned=False)
