"""The processes of a run: what `accelerate launch` gives, checked against what a run can use."""

import ctypes
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import torch
import torch.distributed as dist
from accelerate import Accelerator, PartialState
from accelerate.tracking import get_available_trackers
from accelerate.utils import (
    DistributedType,
    ProjectConfiguration,
    gather_object,
    get_int_from_env,
    parse_flag_from_env,
)
from torch import Tensor

from sngan_cond.transfer import HostCopy
from sngan_cond.validation import one_line
from train.config import TrainConfig
from train.errors import TrainError
from train.processes import processors
from train.run.numerics import (
    MIXED_PRECISION,
    Gpu,
    Numerics,
    decide_numerics,
    gpu_of,
    precision_of_checkpoints,
    set_numerics,
)
from train.run.trackers import TensorBoardFile

_REFUSED = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM, DistributedType.XLA)
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


def open_accelerator(config: TrainConfig, folder: Path) -> tuple[Accelerator, Numerics]:
    """Join the processes of a run that is kept in a folder, and decide what it computes in.

    Raises:
        TrainError: if the launch asks for something that a run of two networks cannot use, a tracker is missing, the
            precision cannot be had, or a process does not come.
    """
    known = {tracker.value for tracker in get_available_trackers()}
    for tracker in config.trackers:
        if tracker not in known:
            brings = "train" if tracker == "tensorboard" else tracker
            raise TrainError(
                f"trackers={tracker}: the package is not installed; pip install -e '.[{brings}]' brings it"
            )
    _end_with_launcher()
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
        torch.use_deterministic_algorithms(True, warn_only=True)
    on_cpu = not torch.accelerator.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
    state = join_processes(config.process_timeout, on_cpu=on_cpu)
    numerics = decide_numerics(
        config,
        launched=os.environ.get("ACCELERATE_MIXED_PRECISION", "no").lower(),
        made_in=precision_of_checkpoints(folder),
        gpu=_weakest_gpu(state),
    )
    set_numerics(state.device, tf32=numerics.tf32, cudnn_benchmark=numerics.cudnn_benchmark)
    board = TensorBoardFile(folder / "trackers" / folder.resolve().name)
    accelerator = Accelerator(
        cpu=on_cpu,
        mixed_precision=MIXED_PRECISION[numerics.precision],
        log_with=[board if name == board.name else name for name in config.trackers] or None,
        project_config=ProjectConfiguration(project_dir=str(folder), logging_dir=str(folder / "trackers")),
    )
    _check(accelerator)
    set_num_threads(accelerator.device)
    return accelerator, numerics


def collective_timeout(process_timeout: float) -> timedelta:
    """Return how long a collective may take: long enough for `Watch` to name the process that it waits for."""
    return timedelta(seconds=3 * process_timeout)


def join_processes(process_timeout: float, *, on_cpu: bool) -> PartialState:
    """Meet the other processes of the launch; one that never comes is waited for as long as for a collective.

    Args:
        process_timeout: seconds, as for `collective_timeout`.
        on_cpu: leave the GPUs alone.
    Raises:
        TrainError: if a process does not come.
    """
    timeout = collective_timeout(process_timeout)
    try:
        return PartialState(cpu=on_cpu, timeout=timeout)
    except dist.DistError as error:
        raise TrainError(
            f"the processes of the launch do not meet within {timeout.total_seconds():g} s ({one_line(error, 200)}); "
            "start the same command again"
        ) from error


def _weakest_gpu(state: PartialState) -> Gpu | None:
    """Return what every GPU of the run multiplies in hardware; None on other devices."""
    own = gpu_of(state.device)
    if own is None or state.num_processes == 1:
        return own
    return Gpu(*(all(has) for has in zip(*gather_object([own]), strict=True)))


def set_num_threads(device: torch.device) -> None:
    """Share this machine's cores among its processes where `accelerate launch` chose one thread by default.

    The launcher sets OMP_NUM_THREADS=1 unless it is told more, which suits GPUs: a run on a CPU would use one core of
    however many there are. Any other number is kept, and so is one thread without the launcher; a run on a GPU keeps
    what it has.
    """
    launched = "ACCELERATE_MIXED_PRECISION" in os.environ  # set by every `accelerate launch`
    if device.type != "cpu" or not launched or os.environ.get("OMP_NUM_THREADS") != "1":
        return
    usable = processors()
    cores = min(usable, psutil.cpu_count(logical=False) or usable)  # a core's second thread slows convolutions
    torch.set_num_threads(max(1, cores // get_int_from_env(["LOCAL_WORLD_SIZE"], 1)))


def _check(accelerator: Accelerator) -> None:
    kind = accelerator.distributed_type
    if kind in _REFUSED:
        raise TrainError(f"distributed type {kind.value}: one process, or several with --multi_gpu, are allowed")
    backend = accelerator.state.dynamo_plugin.backend
    if backend.value != "NO":
        raise TrainError(f"--dynamo_backend {backend.value.lower()}: use no; speed.compile decides what is compiled")


def _end_with_launcher() -> None:
    """Ask Linux for a SIGTERM when `accelerate launch` ends, which passes no signal on and leaves orphans."""
    if sys.platform == "linux" and "ACCELERATE_MIXED_PRECISION" in os.environ:
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, int(signal.SIGTERM))


class AnyRankFlag:
    """A flag that is set if any process sets it, reduced without waiting.

    A step must not wait for the device, so the reduction is only enqueued here; `read`, a step later, finds it done.

    Args:
        is_set: on this process.
    """

    def __init__(self, accelerator: Accelerator, is_set: bool) -> None:
        count: Tensor = accelerator.reduce(torch.full((), float(is_set), device=accelerator.device), "sum")
        self._count = HostCopy(count)

    def read(self) -> bool:
        """Wait for the reduction; the same in every process."""
        return bool(self._count.get() > 0)
