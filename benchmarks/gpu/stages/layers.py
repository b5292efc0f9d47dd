"""What spectral norm is of a D update, and what one pass of batch norm, class gain and ReLU saves."""

import torch

from benchmarks import spectral
from benchmarks.gpu.campaign import Campaign, Row, Rows
from benchmarks.gpu.stages.updates import title
from benchmarks.gpu.timing import per_call_s
from benchmarks.job import Job
from benchmarks.machine import computes_in_bf16
from sngan_cond import Discriminator, build_constraint
from sngan_cond.config import plan_for
from sngan_cond.constraints.spectral import BatchedPowerIterations
from sngan_cond.fast import set_backend
from sngan_cond.networks.layers import ConditionalBatchNorm2d

USES = 2  # of D's weights in a D update: on real and on fake images


def run(campaign: Campaign) -> Rows:
    """Time both; captured as a CUDA graph where there is a GPU, as updates are."""
    yield from _batch_norms(campaign)
    yield from _spectral_norm(campaign, campaign.job(128))


def _spectral_norm(campaign: Campaign, job: Job) -> Rows:
    """Time one use of all weights of D, forward and backward, and set it against the fastest D update found before."""
    eager, compiled = (campaign.tables.get(title(128, compiled=flag), []) for flag in (False, True))
    updates = [row["D, ms"] for row in (*eager, *compiled) if str(row["way"]).startswith("ours") and "D, ms" in row]
    d_ms = min(updates, default=None)
    measured = spectral.measure(job, rounds=3 if campaign.narrow else 15)
    ways = {name: 1e3 * measured[name]["d_update_s"] for name in ("reference", "ours", "ours_batched")}

    def row(way: str, ms: float) -> tuple[str, Row]:
        share = None if d_ms is None else ms / d_ms
        return "Spectral norm of a D update, 128 px", {"way": way, "ms": ms, "of our fastest D update": share}

    for name, ms in ways.items():
        yield row(f"{name}, eager", ms)
    if job.device.type == "cuda":
        yield row("ours_batched, graph", 1e3 * USES * _captured_use_s(job))


def _captured_use_s(job: Job) -> float:
    """Return the seconds of one use of all weights, recorded as a CUDA graph and replayed."""
    D = Discriminator(job.config.discriminator)
    build_constraint(job.config.constraint).attach(D)
    D.to(job.device, memory_format=torch.channels_last)
    weights: list[torch.Tensor] = []
    batched = BatchedPowerIterations()  # one for all, for a graph reads its tables
    spectral.use(D, weights, batched)
    grads = [torch.randn_like(weight) for weight in weights]
    weights.clear()  # with them go nodes of autograd that belong to this stream, where nothing is captured

    def once() -> None:
        used: list[torch.Tensor] = []
        spectral.use(D, used, batched)
        torch.autograd.backward(used, grads)

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            once()
    torch.cuda.current_stream().wait_stream(stream)
    D.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        once()
    return per_call_s(graph.replay, job.device, most=50)


def _batch_norms(campaign: Campaign) -> Rows:
    """Time the generator's class batch norms at 128 px, forward and backward, in one pass and in PyTorch's own."""
    job = campaign.job(128)
    dtype = torch.bfloat16 if computes_in_bf16(job.device) else torch.float32
    plan, width = plan_for(128), job.config.generator.width
    side_px = plan.first_side
    for factor in plan.g_widths[:2] if campaign.narrow else plan.g_widths:
        channels = width * factor
        forms = {}
        for form in ("plain", "auto"):
            forms[form] = _batch_norm_s(form, (job.batch_g, channels, side_px, side_px), dtype, job.device)
        row: Row = {"features": f"{job.batch_g} x {channels} x {side_px} px, {str(dtype).removeprefix('torch.')}"}
        row |= {"PyTorch's, ms": 1e3 * forms["plain"], "one pass, ms": 1e3 * forms["auto"]}
        yield "Batch norm, class gain and ReLU, eager", row | {"times": forms["plain"] / forms["auto"]}
        side_px *= 2


def _batch_norm_s(form: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> float:
    norm = ConditionalBatchNorm2d(shape[1], 10).to(device)
    set_backend(norm, form)
    x = torch.randn(shape, device=device).to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = torch.randint(10, shape[:1], device=device)
    grad = torch.randn_like(x)

    def once() -> None:
        x.grad = None
        norm.zero_grad()
        out: torch.Tensor = norm(x, y, relu=True)
        out.backward(grad.to(out.dtype))

    once()
    once()
    return per_call_s(once, device, most=20, longest_s=0.05)
