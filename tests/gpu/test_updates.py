"""Whole updates: graphs against eager ones to the bit, and bfloat16 against float32."""

import pytest
import torch

from tests.train.trainer import test_precision as precision
from tests.train.trainer import test_speed as speed
from tests.train.trainer.short_run import short_run
from train.trainer.speed import SpeedConfig
from train.trainer.state import moments
from train.trainer.update import Updates

pytestmark = pytest.mark.gpu

test_bfloat16_stays_near_float32 = speed.test_bfloat16_stays_near_float32
test_one_pass_differs_by_a_few_roundings = precision.test_one_pass_differs_by_a_few_roundings


def _everything(updates: Updates) -> dict[str, torch.Tensor]:
    """Weights, running statistics, u, Adam's moments and the objective's state, by name."""
    kept = dict(updates.objective_state)
    for name, network, optimizer in (("G", updates.G, updates.opt_g), ("D", updates.D, updates.opt_d)):
        kept |= {f"{name}/{key}": tensor for key, tensor in network.state_dict().items()}
        kept |= {f"{name}/moments/{key}": tensor for key, tensor in moments(network, optimizer).items()}
    return kept


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize(("mixed_precision", "few_images"), [("no", False), ("bf16", False), ("bf16", True)])
def test_graphs_have_the_bits_of_eager_updates(
    mixed_precision: str, few_images: bool, device: torch.device, replays: list[torch.cuda.CUDAGraph]
) -> None:
    how = {"device": device, "mixed_precision": mixed_precision, "few_images": few_images}
    eager, captured = (short_run(SpeedConfig(compile=False, capture=c), steps=7, **how) for c in (False, "auto"))
    assert captured[0] == eager[0]
    ours, expected = (_everything(updates) for _, updates in (captured, eager))
    assert ours.keys() == expected.keys()
    assert [name for name, tensor in ours.items() if not torch.equal(tensor, expected[name])] == []
    assert captured[1].new_notes() == []
    assert len(set(map(id, replays))) == (4 if device.type == "cuda" else 0)  # before and after each one's exchange
