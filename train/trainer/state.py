"""The two networks of a run with their optimisers, average and checkpoints."""

import copy
import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate.utils import broadcast
from torch import Tensor, nn

from sngan_cond import Discriminator, Ema, Generator, GeneratorConfig, build_constraint
from sngan_cond.constraints.fold import fold
from sngan_cond.randomness import seed_for
from sngan_cond.stored import read_json
from sngan_cond.validation import one_line
from train.config import TrainConfig
from train.data.dataset import PreparedDataset
from train.errors import TrainError
from train.presets.load import config_to_dict
from train.run.checkpoint import Checkpoint, save_checkpoint, unreadable
from train.run.numerics import TRAINING_FILE
from train.run.run import Run
from train.run.writer import CheckpointWriter, Tensors
from train.sections import AdamConfig
from train.trainer.freezing import freeze
from train.trainer.known_data import facts, noted
from train.trainer.moments import check_moments, check_shapes, load_moments, moments
from train.trainer.speed import lay_out
from train.trainer.start import StartModel, note_start, start_from
from train.trainer.update import Updates


class Networks:
    """G, D, their optimisers and the average of G: built, prepared, saved and resumed.

    Args:
        run: whose processes and folder are used.
        dataset: whose class names the generator carries.
    """

    def __init__(self, config: TrainConfig, run: Run, dataset: PreparedDataset) -> None:
        self.config, self.run = config, run
        self._data, self._data_facts = noted(dataset), facts(dataset, config)
        self.data_before: Mapping[str, str | int] | None = None  # identity of what a checkpoint was trained on
        self.unsaved: str | None = None  # why the last checkpoint is not whole
        self.generator_config = with_names(config.generator, dataset)
        device = run.accelerator.device
        # What torch.compile makes is kept, so that a resumed run starts warm; a folder that the user chose stays.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str((run.folder / "compiled").absolute()))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(config.seed, "initialisation"))
            G, D = Generator(self.generator_config), Discriminator(config.discriminator)
            constraint = build_constraint(config.constraint)
            constraint.attach(D)
            build_constraint(config.constraint_g).attach(G)
        if config.batch_norm == "synchronised":
            G = synchronised(G)
        for network in (G, D):
            lay_out(shared(network.to(device)), config.speed, device)
        freeze(D, config.freeze_d)
        self.ema = Ema(G, decay=config.ema.decay, start=config.ema.start)
        opt_g, opt_d = _adam(G, config.optim_g), _adam(D, config.optim_d)
        self.updates = Updates(
            run.accelerator,
            G=G,
            D=D,
            opt_g=opt_g,
            opt_d=opt_d,
            constraint=constraint,
            loss=config.loss,
            augment=config.augment,
            speed=config.speed,
        )
        self.writer = CheckpointWriter(device, log=run.print)
        # What a checkpoint holds, by file: "model" is the plain average, from which a constrained one cannot go on.
        average = "model" if config.constraint_g.kind == "none" else "ema"
        G, D = self.updates.G, self.updates.D
        self._networks = {"generator": G, "discriminator": D, average: self.ema.network}
        self._optimised = {"optimizer_g": (G, opt_g), "optimizer_d": (D, opt_d)}

    def resume(self, start: StartModel | None) -> int:
        """Load the newest whole checkpoint, if there is one, else what the networks take from the model to start from.

        Returns:
            Number of steps that were taken.
        Raises:
            TrainError: as `Run.newest_checkpoint` does.
        """
        checkpoint = self.run.newest_checkpoint(self._check)
        if checkpoint is None:
            self._start(start)
            return 0
        self.data_before = checkpoint.state.data
        try:
            self._load(checkpoint)
        except OSError as error:  # since it was found whole
            raise unreadable(checkpoint.folder, error) from error
        except (RuntimeError, KeyError, ValueError) as error:
            reason = one_line(error, 300)
            raise TrainError(f"{checkpoint.folder}: does not fit this configuration ({reason})") from error
        record = read_json(checkpoint.folder / TRAINING_FILE, error=TrainError)
        self.run.started_from = record.get("init_from")
        if self.run.is_main:  # a kill may have come between the two
            self.run.write_training_record((checkpoint.folder / TRAINING_FILE).read_text(encoding="utf-8"))
        self.run.seconds_before = checkpoint.state.seconds
        self.writer.newest = checkpoint.folder
        return checkpoint.step

    def save(
        self,
        step: int,
        *,
        images_seen: int,
        healthy: int | None = None,
        texts: Mapping[str, str] | None = None,
        then: Callable[[Path], None] | None = None,
    ) -> None:
        """Have the main process write a checkpoint of this instant while training goes on.

        The folder is a model folder too: `config.json` and `model.safetensors` hold the averaged generator. Where the
        disk refuses, the run goes on, and its next save tries again.

        Args:
            images_seen: real images shown to D.
            healthy: as for `save_checkpoint`.
            texts: further files, by name.
            then: called on the main process, in a thread, with the folder once it is whole.
        """
        if not self.run.is_main:
            return
        self.run.mend_folder(step)
        state = {
            "step": step,
            "images_seen": images_seen,
            "seconds": self.run.seconds,
            "world_size": self.run.world_size,
            "config": config_to_dict(self.config),
            "data": self._data,
        }
        record = self.run.training_record(images_seen, step, data=self._data_facts)
        texts = {"config.json": self.generator_config.to_json(), TRAINING_FILE: record, **(texts or {})}
        headers = {"discriminator": self.updates.D.stored_config}

        def write(tensors: Tensors) -> Path | None:
            try:
                folder = save_checkpoint(
                    self.run.checkpoints,
                    state=state,
                    tensors=tensors,
                    texts=texts,
                    headers=headers,
                    keep=self.config.keep_checkpoints,
                    healthy=healthy,
                    damaged=self.run.damaged,
                )
            except TrainError as error:
                self.unsaved = f"{error}; the newest one is {self.writer.newest or 'none yet'}"
                self.run.print(f"warning: {self.unsaved}; if the run goes on, its next save tries again")
                return None
            if self.unsaved is not None:
                self.run.print(f"{folder}: saved, as the one before was not")
            self.unsaved = None
            self.run.damaged.discard(step)
            self.run.write_training_record(record)
            if then is not None:
                then(folder)
            return folder

        self.writer.save(self._tensors(), write)

    def is_saved(self) -> bool:
        """Wait, in every process, until the last checkpoint is written; return whether it is whole."""
        self.writer.wait()
        self.unsaved = self.run.from_main(self.unsaved)
        return self.unsaved is None

    def finish_saving(self) -> None:
        """Wait, in every process, until the last checkpoint is whole.

        Raises:
            TrainError: if it could not be written.
        """
        self.is_saved()
        self.run.end_if(self.unsaved)

    def _start(self, model: StartModel | None) -> None:
        if self.config.init_from is None:
            return
        assert model is not None  # it is read where there is no checkpoint, or the run may begin anew
        G, D = self.updates.G, self.updates.D
        self.run.on_main(lambda: self._note_start(model))
        if self.run.is_main:
            started = start_from(model, G, D, self.generator_config)
            for line in started.table:
                self.run.print(line)
            taken = {"generator": started.generator, "discriminator": started.discriminator}
            self.run.started_from = {**model.facts, "taken": {name: stages for name, stages in taken.items() if stages}}
        for network in (G, D):
            shared(network)
        self.ema.network.load_state_dict(G.state_dict())

    def _note_start(self, model: StartModel) -> None:
        if was := note_start(self.run.folder, model.facts):
            self.run.print(was)

    def _check(self, checkpoint: Checkpoint) -> None:
        """Raise a ValueError if the tensors of a checkpoint are not those of the networks; nothing is loaded."""
        for name, network in self._networks.items():
            check_shapes(checkpoint, name, network.state_dict())
        check_shapes(checkpoint, "objective", self.updates.objective_state)
        for name, (network, _) in self._optimised.items():
            check_moments(checkpoint, name, network)

    def _tensors(self) -> Tensors:
        tensors = {name: network.state_dict() for name, network in self._networks.items()}
        tensors |= {name: moments(*optimised) for name, optimised in self._optimised.items()}
        tensors["model"] = exported(self.ema.network).state_dict()
        return {**tensors, "objective": self.updates.objective_state}

    def _load(self, checkpoint: Checkpoint) -> None:
        for name, network in self._networks.items():
            network.load_state_dict(checkpoint.tensors(name))
        for name, optimised in self._optimised.items():
            load_moments(*optimised, checkpoint.tensors(name))
        device = self.run.accelerator.device
        self.updates.objective_state = {k: v.to(device) for k, v in checkpoint.tensors("objective").items()}


@torch.no_grad()
def shared(network: nn.Module) -> nn.Module:
    """Give a fresh network of every process the main process's weights and state, in place, and return it.

    All draw it from one seed, but processors of two kinds may round an orthonormal start differently. From here on it
    stays the same in all without looking: equal gradients move equal weights, and equal weights iterate equal u. Only
    running statistics part, which belong to each process, as in the official code.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.copy_(broadcast(tensor))
    return network


def synchronised(G: nn.Module) -> nn.Module:
    """Return the generator with batch norms, replaced in place, that take their statistics over all processes."""
    G = nn.SyncBatchNorm.convert_sync_batchnorm(G)
    for module in G.modules():
        if isinstance(module, nn.SyncBatchNorm):
            module.__class__ = _SyncBatchNorm2d  # the conversion makes PyTorch's own class, whoever calls it
    return G


class _SyncBatchNorm2d(nn.SyncBatchNorm):
    """Called like the generator's own batch norms: with labels, and with ReLU where that follows."""

    def forward(self, input: Tensor, y: Tensor | None = None, *, relu: bool = False) -> Tensor:
        h = super().forward(input)
        return F.relu(h) if relu else h


def exported(network: nn.Module) -> nn.Module:
    """Return a copy of a network with its constraint folded into plain weights, or the network where there is none."""
    if not any(nn.utils.parametrize.is_parametrized(module) for module in network.modules()):
        return network
    plain = copy.deepcopy(network)
    fold(plain)
    return plain


def with_names(config: GeneratorConfig, dataset: PreparedDataset) -> GeneratorConfig:
    """Return a generator's configuration with the class names and ids of a data set."""
    if not config.num_classes:
        return config
    ids = None if dataset.class_ids is None else tuple(dataset.class_ids)
    return dataclasses.replace(config, class_names=tuple(dataset.class_names), class_ids=ids)


def _adam(network: nn.Module, config: AdamConfig) -> torch.optim.Adam:
    return torch.optim.Adam(
        network.parameters(), lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=True
    )
