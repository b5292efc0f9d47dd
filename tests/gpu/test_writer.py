"""Checkpoints of a GPU's tensors: copied in the stream of the updates, and waited for by nobody but the thread."""

from pathlib import Path

import pytest
import torch

from train.run.writer import CheckpointWriter, Tensors

pytestmark = pytest.mark.gpu


def test_a_copy_that_a_busy_gpu_makes_late_has_the_values_of_its_save(device: torch.device) -> None:
    on_gpu, found = device.type == "cuda", list[Tensors]()

    def write(copies: Tensors) -> Path:
        found.append({file: {name: copy.clone() for name, copy in named.items()} for file, named in copies.items()})
        return Path("step-1")

    # Convolution weights lie channels-last there; files are contiguous.
    weight = torch.rand(64, 32, 3, 3, device=device).to(memory_format=torch.channels_last)
    tensors = {"generator": {"w": weight, "steps": torch.tensor(7, device=device)}}
    with CheckpointWriter(device, log=print) as writer:
        writer.save(tensors, write)  # pins memory, which may wait for the device
        writer.wait()
        expected = weight.cpu().contiguous()
        if on_gpu:
            torch.cuda._sleep(1_000_000_000)  # cycles: half a second
        writer.save(tensors, write)
        weight.add_(1)
        assert not on_gpu or not torch.cuda.current_stream().query(), "the host waited for the device"
        writer.wait()
    for copies in found:
        assert torch.equal(copies["generator"]["w"], expected)
        assert copies["generator"]["w"].is_contiguous()
        assert copies["generator"]["steps"] == 7
    assert all(buffer.is_pinned() == on_gpu for buffer in writer._buffers.values())
