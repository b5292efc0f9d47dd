"""One D update and one G update: objective, backward pass, optimiser; the only place where gradients are made."""

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sngan_cond import Constraint, LossConfig
from sngan_cond.constraints.spectral import BatchedPowerIterations
from sngan_cond.objectives import (
    DiscriminatorBatch,
    Objective,
    discriminator_objective,
    generator_objective,
    initial_objective_state,
    next_objective_state,
)
from train.trainer.cuda_graphs import Batches, GraphedUpdate, Update
from train.trainer.speed import SpeedConfig, plan_speed

_NEVER = torch.iinfo(torch.int64).max


class Updates:
    """Both updates of a run, over prepared networks and optimisers.

    Args:
        accelerator: that prepared them.
        G: prepared generator.
        D: prepared discriminator with its constraint attached.
        opt_g: prepared optimiser of G.
        opt_d: prepared optimiser of D.
        constraint: whose penalty and projection belong to the D update.
        loss: what is played for.
        speed: how the updates are run; `notes` says what of it cannot be had.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        *,
        G: nn.Module,
        D: nn.Module,
        opt_g: torch.optim.Optimizer,
        opt_d: torch.optim.Optimizer,
        constraint: Constraint,
        loss: LossConfig,
        speed: SpeedConfig | None = None,
    ) -> None:
        self.accelerator = accelerator
        self.G, self.D, self.opt_g, self.opt_d = G, D, opt_g, opt_d
        self.unwrapped_G, self.unwrapped_D = accelerator.unwrap_model(G), accelerator.unwrap_model(D)
        self.constraint = constraint
        self.loss = loss
        self.objective_state = initial_objective_state(loss, accelerator.device)
        self._first_bad = {
            name: torch.full((), _NEVER, dtype=torch.int64, device=accelerator.device) for name in ("D", "G")
        }
        self._has_run = False
        self._generator: torch.Generator | None = None
        self._step = torch.zeros((), dtype=torch.int64, device=accelerator.device)
        self._speed_up(speed or SpeedConfig())

    def _speed_up(self, speed: SpeedConfig) -> None:
        plan = plan_speed(
            speed,
            device=self.accelerator.device,
            processes=self.accelerator.num_processes,
            constraint=self.constraint,
            remembers=bool(self.objective_state),
        )
        self.notes = plan.notes
        self._told: set[str] = set()
        for network, compiled in ((self.unwrapped_D, plan.compile_d), (self.unwrapped_G, plan.compile_g)):
            if plan.batched_sn or compiled:  # state that changes between a pass and its gradient cannot be compiled
                BatchedPowerIterations().attach(network)
            for part in network.children() if compiled else ():
                part.compile(dynamic=False)
        pool = torch.cuda.graph_pool_handle() if plan.capture_g or plan.capture_d else None
        self._captured = {
            name: GraphedUpdate(update, pool=pool, zero_grad=optimizer.zero_grad)
            for name, update, optimizer, wanted in (
                ("D", self._update_d, self.opt_d, plan.capture_d),
                ("G", self._update_g, self.opt_g, plan.capture_g),
            )
            if wanted
        }
        for optimizer, wanted in ((self.opt_d, plan.capture_d), (self.opt_g, plan.capture_g)):
            for group in optimizer.param_groups if wanted else ():
                group["capturable"] = True
                group["lr"] = torch.tensor(group["lr"], device=self.accelerator.device)

    def capture_failures(self) -> dict[str, str]:
        """Return why an update of a network could not be captured and runs eagerly, by network."""
        return {name: captured.failure for name, captured in self._captured.items() if captured.failure}

    def take_notes(self) -> list[str]:
        """Return what was not returned yet of the switches that cannot be had, each with its reason."""
        failures = [f"capture of {name}: off, because {why}" for name, why in self.capture_failures().items()]
        new = [note for note in (*self.notes, *failures) if note not in self._told]
        self._told.update(new)
        return new

    def set_lr(self, *, lr_g: float, lr_d: float) -> None:
        """Set both learning rates.

        Args:
            lr_g: of the generator's optimiser.
            lr_d: of the discriminator's optimiser.
        """
        for optimizer, lr in ((self.opt_g, lr_g), (self.opt_d, lr_d)):
            for group in optimizer.param_groups:
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(lr)  # a captured update reads it there
                else:
                    group["lr"] = lr

    def discriminator(
        self, batches: Sequence[DiscriminatorBatch], *, step: int, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Take one D update.

        Args:
            batches: this process's micro-batches.
            step: the running step, for the report of values that are not finite.
            generator: randomness of the constraint's penalty.
        Returns:
            Named loss parts, detached, averaged over micro-batches; the device is not waited for.
        """
        self._step.fill_(step)
        self._generator = generator
        return self._run("D", self._update_d, batches)

    def _update_d(self, batches: Batches) -> dict[str, Tensor]:
        self.opt_d.zero_grad()
        parts = []
        for i, batch in enumerate(batches):
            with ExitStack() as stack:
                if i + 1 < len(batches):
                    stack.enter_context(self.accelerator.no_sync(self.D))
                objective = discriminator_objective(
                    self.D,
                    self.unwrapped_G,
                    DiscriminatorBatch(*batch),
                    loss=self.loss,
                    constraint=self.constraint,
                    generator=self._generator,
                    state=self.objective_state,
                )
                parts.append(self._backward(objective, len(batches)))
        self._note_bad("D", self.unwrapped_D, parts)
        self.opt_d.step()
        self.constraint.after_step(self.unwrapped_D)
        mean = _mean(parts)
        if self.objective_state:
            shared = {name: self.accelerator.reduce(mean[name], "mean") for name in ("score_real", "score_fake")}
            self.objective_state = next_objective_state(self.objective_state, shared, loss=self.loss)
        return mean

    def generator(self, batches: Sequence[tuple[Tensor, Tensor | None]], *, step: int) -> dict[str, Tensor]:
        """Take one G update.

        D's parameters stay out of the graph, and D is called bare: its gradients are neither made nor exchanged.

        Args:
            batches: this process's micro-batches of latents (n, latent_dim) and labels (n,) or None.
            step: the running step.
        Returns:
            Named loss parts, detached, averaged over micro-batches.
        """
        self._step.fill_(step)
        return self._run("G", self._update_g, batches)

    def _update_g(self, batches: Batches) -> dict[str, Tensor]:
        self.opt_g.zero_grad()
        parts = []
        self.unwrapped_D.requires_grad_(False)
        try:
            for i, (z, y) in enumerate(batches):
                with ExitStack() as stack:
                    if i + 1 < len(batches):
                        stack.enter_context(self.accelerator.no_sync(self.G))
                    objective = generator_objective(self.unwrapped_D, self.G, z, y, loss=self.loss)
                    parts.append(self._backward(objective, len(batches)))
        finally:
            self.unwrapped_D.requires_grad_(True)
        self._note_bad("G", self.unwrapped_G, parts)
        self.opt_g.step()
        return _mean(parts)

    def _run(self, name: str, update: Update, batches: Batches) -> dict[str, Tensor]:
        if not self._has_run:
            for optimizer in (self.opt_d, self.opt_g):
                _lay_out_like_parameters(optimizer)
            self._has_run = True
        return self._captured.get(name, update)(batches)

    def first_nonfinite_step(self) -> dict[str, int]:
        """Return the first step at which a network's loss or gradient was not finite; waits for the device."""
        steps = {name: int(step) for name, step in self._first_bad.items()}
        return {name: step for name, step in steps.items() if step != _NEVER}

    def _backward(self, objective: Objective, micro_batches: int) -> dict[str, Tensor]:
        self.accelerator.backward(objective.total / micro_batches)
        return {**objective.parts, "total": objective.total.detach()}

    def _note_bad(self, name: str, network: nn.Module, parts: Sequence[dict[str, Tensor]]) -> None:
        """Remember the step if anything is not finite, without waiting for the device."""
        grads = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(grads)
        finite = torch.isfinite(norm) & torch.stack([torch.isfinite(part["total"]) for part in parts]).all()
        seen = self._first_bad[name]
        seen.copy_(torch.where(finite, seen, torch.minimum(seen, self._step)))


def _mean(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}


def _lay_out_like_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Give loaded moments the memory layout of their parameters, which fused optimisers ask for."""
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                state[key] = torch.empty_like(parameter).copy_(value)
