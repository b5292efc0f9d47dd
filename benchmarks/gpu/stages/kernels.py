"""What one update of ours at 128 px spends its time on, kernel by kernel."""

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.campaign import Campaign, Rows
from benchmarks.gpu.stages.updates import COMPILED, FASTEST, GRAPHS, PLAIN, title
from benchmarks.machine import computes_in_bf16, wait
from benchmarks.sides import our_side, warm_up

MOST = 30  # kernels of an update that are listed
NAME_LENGTH = 90


def run(campaign: Campaign) -> Rows:
    """Profile a D and a G update: replays of their graphs on a GPU, operators on a CPU."""
    job = campaign.job(128)
    on_gpu = job.device.type == "cuda"
    compiled = any(
        row["way"] == FASTEST and "D, ms" in row for row in campaign.tables.get(title(128, compiled=True), [])
    )
    switches = (COMPILED if compiled else GRAPHS) if on_gpu else PLAIN
    if computes_in_bf16(job.device):
        switches = (*switches, "bf16")
    side = our_side(job, job.draw(), switches)
    warm_up(side, job.device)
    for update in "dg":
        with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as profiled:
            side.update(update)
            wait(job.device)
        times = {
            event.key: (event.self_device_time_total if on_gpu else event.self_cpu_time_total, event.count)
            for event in profiled.key_averages()
            if not on_gpu or event.device_type == DeviceType.CUDA  # launches are the host's
        }
        whole_us = sum(us for us, _ in times.values())
        ranked = sorted(times.items(), key=lambda item: item[1][0], reverse=True)[:MOST]
        heading = f"{update.upper()} update at 128 px, {' '.join(switches)}: {'kernels' if on_gpu else 'operators'}"
        for name, (us, calls) in (*ranked, ("all", (whole_us, sum(count for _, count in times.values())))):
            row = {"name": name[:NAME_LENGTH], "ms": us / 1e3, "share": us / max(whole_us, 1e-9), "calls": calls}
            yield heading, row
