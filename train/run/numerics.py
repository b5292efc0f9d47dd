"""What a run computes in: its precision, with the reason for it, and the rounding that a GPU is allowed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER, checkpoint_folder, saved_steps
from sngan_cond.stored import read_json
from sngan_cond.validation import one_line
from train.config import TrainConfig
from train.errors import TrainError

TRAINING_FILE = "training.json"  # of a run's folder
MIXED_PRECISION = {"fp32": "no", "bf16": "bf16"}  # Accelerate's names
Precision = Literal["fp32", "bf16"]


class Gpu(NamedTuple):
    """What the GPUs of a run, all of them, multiply in hardware."""

    bf16: bool
    tf32: bool


class Numerics(NamedTuple):
    """What a run computes in.

    Args:
        precision: of the networks; weights, statistics, sigma and losses are float32 in both.
        reason: why this precision.
        tf32: whether float32 products on a GPU round their inputs to 10 bits of mantissa.
        cudnn_benchmark: whether cuDNN chooses its algorithms by timing them, which another start may do otherwise.
    """

    precision: Precision
    reason: str
    tf32: bool
    cudnn_benchmark: bool

    def line(self) -> str:
        """Say what was taken, why, and what asks for something else."""
        said = f"precision: {self.precision}, {self.reason}"
        if self.tf32:
            said += "; float32 products in TF32 (speed.tf32=false keeps them whole)"
        return said + ("; cudnn.benchmark on" if self.cudnn_benchmark else "")

    def facts(self) -> dict[str, Any]:
        """Return what `training.json` says of it."""
        return {name: value for name, value in self._asdict().items() if name != "reason"}


def gpu_of(device: torch.device) -> Gpu | None:
    """Return what a GPU multiplies in hardware, None for another device. Emulated bfloat16 is slower than float32."""
    if device.type != "cuda":
        return None
    with torch.cuda.device(device):
        return Gpu(torch.cuda.is_bf16_supported(including_emulation=False), torch.cuda.is_tf32_supported())


def decide_numerics(config: TrainConfig, *, launched: str, made_in: Precision | None, gpu: Gpu | None) -> Numerics:
    """Decide what a run computes in.

    Args:
        launched: --mixed_precision of `accelerate launch`, whose default "no" cannot be told from a chosen one.
        made_in: precision of the run's checkpoints; None where there are none.
        gpu: None on a CPU and on other accelerators.
    Raises:
        TrainError: if it is another than the checkpoints', cannot be had, or is none of two networks.
    """
    precision, reason = _precision(config.precision, launched, made_in, gpu)
    if made_in not in (None, precision):
        raise TrainError(
            f"precision={precision}, {reason}: the checkpoints of this run were made in {made_in}, and a run goes on "
            f"in one precision; {made_in} is allowed, or another --run-dir"
        )
    if precision == "bf16" and gpu is not None and not gpu.bf16:
        raise TrainError(f"precision=bf16, {reason}: this GPU does not compute in bfloat16; fp32 is allowed")
    exact = config.deterministic or gpu is None
    tf32 = config.speed.tf32
    if tf32 == "auto":
        tf32 = precision == "fp32" and not exact and gpu is not None and gpu.tf32
    return Numerics(precision, reason, tf32 and gpu is not None, not exact)


def _precision(
    asked: Literal["auto", "fp32", "bf16"], launched: str, made_in: Precision | None, gpu: Gpu | None
) -> tuple[Precision, str]:
    if asked != "auto":
        return asked, "as asked for"
    if launched not in MIXED_PRECISION.values():
        raise TrainError(f"mixed precision {launched}: one loss scale cannot serve two networks; use bf16 or no")
    if launched == "bf16":
        return "bf16", "as accelerate launch says"
    if made_in is not None:
        return made_in, "as in this run's checkpoints"
    if gpu is None:
        return "fp32", "as everywhere but on GPUs (precision=bf16 asks for bfloat16)"
    if gpu.bf16:
        return "bf16", "for this GPU computes in it (precision=fp32 asks for float32)"
    return "fp32", "for this GPU does not compute in bfloat16"


def precision_of_checkpoints(folder: Path) -> Precision | None:
    """Return the precision that the checkpoints in a run's folder were made in; None where nothing says so.

    Raises:
        TrainError: if `training.json` cannot be read.
    """
    root = folder / CHECKPOINTS_FOLDER
    own = [checkpoint_folder(root, step) / TRAINING_FILE for step in reversed(saved_steps(root))]
    path = next((path for path in (folder / TRAINING_FILE, *own) if path.exists()), None)
    if path is None:
        return None
    try:
        facts = read_json(path, name=TRAINING_FILE)
        # 0.1.0 wrote Accelerate's name, among the hardware.
        noted = facts["numerics"]["precision"] if "numerics" in facts else facts["hardware"]["mixed_precision"]
        return {"no": "fp32", "fp32": "fp32", "bf16": "bf16"}[noted]
    except (ValueError, KeyError, TypeError) as error:
        raise TrainError(f"{path}: does not say in what precision the run is ({one_line(error)})") from error


def set_numerics(device: torch.device, *, tf32: bool, cudnn_benchmark: bool) -> None:
    """Set for the whole process how a GPU computes in float32; on another device nothing is set."""
    if device.type == "cuda":
        _set("high" if tf32 else "highest", tf32, cudnn_benchmark)


def exact_float32() -> AbstractContextManager[None]:
    """Keep GPUs from rounding the inputs of float32 matrix products and convolutions, so that devices agree on a score.

    By default PyTorch lets cuDNN round convolutions to TF32, which moves features by a part in a thousand. Nor are
    algorithms timed, which would cost seconds for every shape of a batch.
    """
    return numerics_within(tf32=False, cudnn_benchmark=False)


@contextmanager
def numerics_within(*, tf32: bool, cudnn_benchmark: bool) -> Iterator[None]:
    """Set how GPUs compute in float32, and afterwards what was set before."""
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark
    _set("high" if tf32 else "highest", tf32, cudnn_benchmark)
    try:
        yield
    finally:
        _set(*before)


def _set(matmul: str, cudnn_tf32: bool, cudnn_benchmark: bool) -> None:
    torch.set_float32_matmul_precision(matmul)
    # Not by the newer switch of single operators: once that is set, reading this one raises.
    torch.backends.cudnn.allow_tf32 = cudnn_tf32
    torch.backends.cudnn.benchmark = cudnn_benchmark
