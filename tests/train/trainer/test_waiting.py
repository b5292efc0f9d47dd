"""That a step waits for nothing: no value is read off the device, and no picture is encoded, while the loop goes on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sngan_cond import Generator, GeneratorConfig
from sngan_cond.sampling import generate_on_device
from tests.train.launch import run_here, tiny_command
from train.config import TrainConfig
from train.files import Dispensable
from train.trainer import loop, samples
from train.trainer.batches import Batches

_AT_THE_END = ("steps=4", "decay_from=null", "log_every=4", "sample_every=4", "save_every=4")
_READS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default, torch.ops.aten.equal.default)


class Reads(TorchDispatchMode):
    """Notes each read of a tensor's value: `float`, `bool` and `item`, and what goes past the dispatcher."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _READS:
            self.note(str(func))
        return func(*args, **(kwargs or {}))

    def note(self, name: str) -> None:
        if threading.current_thread() is threading.main_thread():  # others may wait for what they are there for
            self.found.append(name)

    @contextmanager
    def watching(self) -> Iterator[None]:
        def noted(name: str) -> Any:
            original = getattr(Tensor, name)
            return lambda *args, **kwargs: (self.note(name), original(*args, **kwargs))[1]

        with mock.patch.multiple(Tensor, **{name: noted(name) for name in ("tolist", "numpy", "cpu")}), self:
            yield


def test_a_step_between_two_log_lines_reads_nothing(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step logs, draws and saves, and is seen to read."""
    reads, first, after_step = Reads(), Batches.of_g, loop._Training.after_step
    counts: list[int] = []

    def started(self: Batches, step: int) -> Any:
        if step == 0:  # what a start reads is not the loop's
            reads.found.clear()
        return first(self, step)

    def counted(self: loop._Training, *args: Any) -> bool:
        stopping = after_step(self, *args)
        counts.append(len(reads.found))
        return stopping

    monkeypatch.setattr(Batches, "of_g", started)
    monkeypatch.setattr(loop._Training, "after_step", counted)
    with reads.watching():
        assert run_here(tiny_command(tiny_data, tmp_path / "run", *_AT_THE_END, "data.flip=true")) == 0
    assert counts[:-1] == [0, 0, 0], reads.found
    assert counts[-1] > 0


def test_images_of_a_grid_are_left_on_the_device() -> None:
    """On PyTorch's meta device, where any read of a value would raise."""
    G = Generator(GeneratorConfig(resolution=32, num_classes=3, channels=4, latent_dim=6)).to("meta")
    z, y = torch.empty(5, 6, device="meta"), torch.empty(5, dtype=torch.int64, device="meta")
    made = list(generate_on_device(G, z, y, batch_size=2))
    assert [(images.device.type, len(images)) for images in made] == [("meta", 2), ("meta", 2), ("meta", 1)]


def test_training_goes_on_while_a_grid_is_encoded(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grid of step 1 is held until the run has taken three more steps; it and the last one are then there."""
    later, save_png = threading.Event(), samples.save_png
    after_step = loop._Training.after_step

    def held(image: Tensor, path: Path) -> None:
        assert path.name != "step-00000001.png" or later.wait(60)
        save_png(image, path)

    def counted(self: loop._Training, *args: Any) -> bool:
        if self.step == 4:
            assert not (tmp_path / "run/samples/step-00000001.png").exists()
            later.set()
        return after_step(self, *args)

    monkeypatch.setattr(samples, "save_png", held)
    monkeypatch.setattr(loop._Training, "after_step", counted)
    monkeypatch.setattr(loop._Training, "_is_due", lambda self, every: self.step in ((1, 5) if every == 7 else (5,)))
    command = tiny_command(tiny_data, tmp_path / "run", "steps=5", "decay_from=null", "sample_every=7")
    assert run_here(command) == 0
    grids = sorted((tmp_path / "run/samples").iterdir())
    assert [grid.name for grid in grids] == ["step-00000000.png", "step-00000001.png", "step-00000005.png"]


def test_a_run_goes_on_without_grids_that_cannot_be_written(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/samples").write_text("in the way")
    assert run_here(tiny_command(tiny_data, tmp_path / "run", "steps=1", "decay_from=null")) == 0
    said = capsys.readouterr().out
    assert said.count(f"warning: {tmp_path / 'run/samples'}: cannot be written (File exists); the run goes on") == 1


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (
            OSError(28, "No space left on device"),
            "samples: cannot be written (No space left on device); the run goes on",
        ),
        (RuntimeError("CUDA error"), "CUDA error"),
    ],
)
def test_a_grid_that_fails_hides_no_other_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, said: str
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(samples, "save_png", fail)
    G, lines = Generator(GeneratorConfig(resolution=32, num_classes=3, channels=4, latent_dim=6)), []
    run = SimpleNamespace(
        is_main=True,
        config=TrainConfig(samples_per_class=2),
        accelerator=SimpleNamespace(device=torch.device("cpu")),
        folder=tmp_path,
        print=lines.append,
        dispensable=Dispensable(lines.append),
    )
    networks = SimpleNamespace(generator_config=G.config, ema=SimpleNamespace(network=G))

    def stopped() -> None:
        with samples.SampleGrids(run, networks) as grids:  # type: ignore[arg-type]
            grids.save(1)
            raise KeyError

    with pytest.raises(KeyError):
        stopped()
    assert len(lines) == 1
    assert said in lines[0]
