"""The official trajectory through the trainer's own updates: in this process, or shared by two.

`accelerate launch ... -m tests.sngan_cond.fast.official_trajectory FOLDER` has every process write what it found.
"""

import gc
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file
from torch import Tensor

from sngan_cond import ConstraintConfig, LossConfig, build_constraint
from sngan_cond.objectives import DiscriminatorBatch
from tests.processes import run
from tests.reference.fixtures import load, tensor
from tests.sngan_cond import test_official_training as training
from tests.train.launch import TWO
from train.trainer.speed import SpeedConfig, lay_out
from train.trainer.state import load_moments, moments
from train.trainer.update import Updates

CPU = torch.device("cpu")
EAGER = SpeedConfig(convolution="minimal", memory_format="channels_last", batched_sn=True)


def trajectory(speed: SpeedConfig, device: torch.device = CPU) -> dict[str, Any]:
    """Three iterations as in `test_official_training`: one G update, then two D updates.

    Each of several processes has an equal share of the real images, and all latents: G's batch norms see the official
    batch in every process, and D's gradients differ between them.
    """
    io = load("tiny_traj32_c5")
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=device.type == "cpu")
    G, D = training._pair(device)
    scores = training._scores(D)
    for network in (G, D):
        lay_out(network, speed, device)
    opt_g, opt_d = (torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.0, 0.9), fused=True) for n in (G, D))
    updates = Updates(
        accelerator,
        G=G,
        D=D,
        opt_g=opt_g,
        opt_d=opt_d,
        constraint=build_constraint(ConstraintConfig()),
        loss=LossConfig(kind="hinge"),
        speed=speed,
    )
    assert updates.notes == ()
    losses, weights = {}, []
    for i in range(3):
        at = f"it{i}/gstep"
        z, y = (tensor(io[f"{at}/{key}"], device) for key in ("z", "y"))
        losses[at] = updates.step_g([(z, y)])["loss"].item()
        for j in range(2):
            at = f"it{i}/dstep{j}"
            x, *others = (tensor(io[f"{at}/{key}"], device) for key in ("x_real", "y_real", "z", "y_fake"))
            x = x.contiguous(memory_format=torch.channels_last)  # as they are fed
            x, others[0] = (t.chunk(accelerator.num_processes)[accelerator.process_index] for t in (x, others[0]))
            losses[at] = updates.step_d([DiscriminatorBatch(x, *others)])["loss"].item()
        weights.append({name: training._numbers(network) for name, network in (("gen", G), ("dis", D))})
    return {"io": io, "G": G, "D": D, "opt": (opt_g, opt_d), "losses": losses, "scores": scores, "weights": weights}


def trajectory_of_two(folder: Path) -> dict[str, Any]:
    """What two processes found together: weights and moments of the second, losses and scores of both.

    A loss is the mean of both processes'; D scored half of the real images in each, and the same fakes in both.
    """
    run([*TWO, "-m", "tests.sngan_cond.fast.official_trajectory", folder], CUDA_VISIBLE_DEVICES="")
    first, second = (load_file(folder / f"{rank}.safetensors") for rank in range(2))
    shares = ("losses/", "scores/")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first if not key.startswith(shares))
    G, D = training._pair(CPU)
    optimisers = tuple(torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.0, 0.9)) for n in (G, D))
    for letter, network, optimiser in zip("GD", (G, D), optimisers, strict=True):
        network.load_state_dict(_below(f"{letter}/", second))
        load_moments(network, optimiser, _below(f"moments/{letter}/", second))
    scores = []
    for key in (f"scores/{i:02d}" for i in range(len(_below("scores/", first)))):
        whole = len(first[key]) > 2
        assert not whole or torch.equal(first[key], second[key])
        scores.append(first[key] if whole else torch.cat([first[key], second[key]]))
    order = [f"it{i}/{step}" for i in range(3) for step in ("gstep", "dstep0", "dstep1")]
    losses = {at: float((first[f"losses/{at}"] + second[f"losses/{at}"]) / 2) for at in order}
    weights = [{net: _below(f"weights/{i}/{net}/", second) for net in ("gen", "dis")} for i in range(3)]
    io = load("tiny_traj32_c5")
    return {"io": io, "G": G, "D": D, "opt": optimisers, "losses": losses, "scores": scores, "weights": weights}


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def write(folder: Path) -> None:
    """Write this process's tensors under names that `trajectory_of_two` takes apart."""
    found = trajectory(EAGER)
    tensors = {f"losses/{at}": torch.tensor(loss) for at, loss in found["losses"].items()}
    tensors |= {f"scores/{i:02d}": score for i, score in enumerate(found["scores"])}
    for letter, optimiser in zip("GD", found["opt"], strict=True):
        tensors |= {f"{letter}/{key}": value for key, value in found[letter].state_dict().items()}
        tensors |= {f"moments/{letter}/{key}": value for key, value in moments(found[letter], optimiser).items()}
    for i, weights in enumerate(found["weights"]):
        for net, values in weights.items():
            tensors |= {f"weights/{i}/{net}/{path}": value for path, value in values.items()}
    rank = Accelerator().process_index
    save_file(
        {key: value.detach().contiguous().clone() for key, value in tensors.items()}, folder / f"{rank}.safetensors"
    )
    Accelerator().end_training()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    gc.collect()  # as the trainer's command does
