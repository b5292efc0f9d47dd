"""What a campaign does, in order, and how long each stage may take.

What later stages need comes first: the longest is training, and what it trains for is what the stages before it found.
"""

from collections.abc import Sequence
from typing import NamedTuple

SHORTEST_S = 5.0  # with less, a stage would end before its process has begun
MOST = 3.0  # times what a stage wants, where there is plenty: one that hangs shall not take an hour


class Stage(NamedTuple):
    """A part of a campaign.

    Args:
        gpu_s: seconds wanted on a GPU.
        cpu_s: seconds wanted on a CPU, where everything is narrow and most of them are the start of processes.
        function: "module:function", which runs in a process of its own and yields rows (`campaign.Rows`).
        takes_rest: whether it can use what no other stage wants.
    """

    name: str
    gpu_s: float
    cpu_s: float
    function: str
    takes_rest: bool = False

    def wanted_s(self, device: str) -> float:
        """Return the seconds wanted on "cuda" or "cpu"."""
        return self.gpu_s if device == "cuda" else self.cpu_s


# Compiling has stages of its own: of the 128 px networks it takes 110 s on 16 cores beside an H100, and the float32
# reference 30 s; a stage that is killed loses what it had not measured. What was compiled stays for those behind.
STAGES = (
    Stage("machine", 15, 7, "benchmarks.gpu.stages.machine:describe"),
    Stage("smoke", 45, 10, "benchmarks.gpu.stages.smoke:run"),
    Stage("updates_32", 45, 10, "benchmarks.gpu.stages.updates:eager_32"),
    Stage("compiled_32", 140, 10, "benchmarks.gpu.stages.updates:compiled_32"),
    Stage("updates_128", 150, 12, "benchmarks.gpu.stages.updates:eager_128"),
    Stage("compiled_128", 300, 17, "benchmarks.gpu.stages.updates:compiled_128"),
    Stage("forms", 60, 7, "benchmarks.gpu.stages.forms:run"),
    Stage("layers", 50, 8, "benchmarks.gpu.stages.layers:run"),
    Stage("sampling", 25, 6, "benchmarks.gpu.stages.sampling:run"),
    Stage("kernels", 60, 11, "benchmarks.gpu.stages.kernels:run"),
    Stage("data", 20, 7, "benchmarks.gpu.stages.data:prepare"),
    Stage("resume", 60, 32, "benchmarks.gpu.stages.resume:run"),
    Stage("training", 180, 18, "benchmarks.gpu.stages.training:run", takes_rest=True),
    Stage("scores", 75, 18, "benchmarks.gpu.stages.scores:run"),
    Stage("pieces", 15, 5, "benchmarks.gpu.stages.pieces:run"),
)


def limit(stages: Sequence[Stage], left_s: float, device: str) -> float:
    """Return for how many seconds the first of the stages that are left may run.

    Where time is short, and where there is plenty, all stages get the same part of what they want.

    Args:
        stages: not yet run, in order; at least one.
        left_s: seconds that are left for all of them.
    """
    wanted = [stage.wanted_s(device) for stage in stages]
    scaled = min(left_s / sum(wanted), MOST) * wanted[0]
    return max(scaled, left_s - sum(wanted[1:])) if stages[0].takes_rest else scaled
