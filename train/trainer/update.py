"""One D update and one G update: objective, backward pass, optimiser; the only place where gradients are made."""

from collections.abc import Iterator, Sequence
from typing import Any

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
from train.config import SpeedConfig
from train.trainer.cuda_graphs import Batches, GraphedUpdate, Update
from train.trainer.speed import SpeedPlan, plan_speed

_NEVER = torch.iinfo(torch.int64).max


class Updates:
    """Both updates of a run, over prepared networks and optimisers.

    `step_d` and `step_g` take one update each, from this process's micro-batches, and return named loss parts, detached
    and averaged over micro-batches; nothing in them waits for the device, unless singular values are clipped. They are
    `_step_d` and `_step_g` themselves, or CUDA graphs of them.

    Args:
        accelerator: that prepared the networks and optimisers.
        D: with its constraint attached.
        constraint: whose penalty and `after_step` belong to the D update.
        speed: how the updates are run; `notes` says what of it cannot be had, and why.
    """

    step_d: Update
    step_g: Update

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
        self._step = torch.zeros((), dtype=torch.int64, device=accelerator.device)
        self._first_nonfinite = {
            name: torch.full((), _NEVER, dtype=torch.int64, device=accelerator.device) for name in ("D", "G")
        }
        plan = plan_speed(
            speed or SpeedConfig(),
            device=accelerator.device,
            processes=accelerator.num_processes,
            constraint=constraint,
            has_objective_state=bool(self.objective_state),
        )
        self.notes, self._returned = plan.notes, set[str]()
        self._compile(plan)
        self._capture(plan)

    def _compile(self, plan: SpeedPlan) -> None:
        for network, compiled in ((self.unwrapped_D, plan.compile_d), (self.unwrapped_G, plan.compile_g)):
            # torch.compile cannot handle u being overwritten between a forward pass and its backward. With all power
            # iterations before the pass, nothing is written inside it.
            if plan.batched_sn or compiled:
                BatchedPowerIterations().attach(network)
            for part in network.children() if compiled else ():
                part.compile(dynamic=False)

    def _capture(self, plan: SpeedPlan) -> None:
        self.step_d, self.step_g = self._step_d, self._step_g
        self._graphed: dict[str, GraphedUpdate] = {}
        pool = torch.cuda.graph_pool_handle() if plan.capture_g or plan.capture_d else None
        if plan.capture_d:
            self.step_d = self._graphed["D"] = GraphedUpdate(self._step_d, pool=pool, zero_grad=self.opt_d.zero_grad)
        if plan.capture_g:
            self.step_g = self._graphed["G"] = GraphedUpdate(self._step_g, pool=pool, zero_grad=self.opt_g.zero_grad)
        for optimizer, captured in ((self.opt_d, plan.capture_d), (self.opt_g, plan.capture_g)):
            for group in optimizer.param_groups if captured else ():
                group["capturable"] = True
                group["lr"] = torch.tensor(group["lr"], device=self.accelerator.device)  # a graph reads it there

    def capture_failures(self) -> dict[str, str]:
        """Return why the update of a network could not be captured and runs eagerly, by network."""
        return {name: graphed.failure for name, graphed in self._graphed.items() if graphed.failure}

    def new_notes(self) -> list[str]:
        """Return the notes on unavailable speed switches that were not returned before."""
        failures = [f"capture of {name}: off, because {why}" for name, why in self.capture_failures().items()]
        new = [note for note in (*self.notes, *failures) if note not in self._returned]
        self._returned.update(new)
        return new

    def start_step(self, step: int, *, lr_g: float, lr_d: float) -> None:
        """Set what both updates of a step read: its number, for reports of values that are not finite, and the rates.

        Args:
            step: number of steps taken before.
        """
        self._step.fill_(step)
        for optimizer, lr in ((self.opt_g, lr_g), (self.opt_d, lr_d)):
            for group in optimizer.param_groups:
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(lr)  # in place, for the graph has its address
                else:
                    group["lr"] = lr

    def _step_d(self, batches: Batches, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Take one D update.

        Args:
            batches: `DiscriminatorBatch` of each micro-batch.
            rng: of the constraint's penalty.
        """
        self.opt_d.zero_grad()
        parts = []
        for batch in self._micro_batches(batches, self.D):
            objective = discriminator_objective(
                self.D,
                self.unwrapped_G,
                DiscriminatorBatch(*batch),
                loss=self.loss,
                constraint=self.constraint,
                rng=rng,
                state=self.objective_state,
            )
            parts.append(self._backward(objective, len(batches)))
        self._note_nonfinite("D", self.unwrapped_D, parts)
        self.opt_d.step()
        self.constraint.after_step(self.unwrapped_D)
        mean = _mean(parts)
        if self.objective_state:
            shared = {name: self.accelerator.reduce(mean[name], "mean") for name in ("score_real", "score_fake")}
            self.objective_state = next_objective_state(self.objective_state, shared, loss=self.loss)
        return mean

    def _step_g(self, batches: Batches, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Take one G update.

        Args:
            batches: latents (n, latent_dim) and labels (n,) or None of each micro-batch.
            rng: ignored; an `Update` has it for D's penalty.
        """
        self.opt_g.zero_grad()
        parts = []
        # D is a fixed function here: with its parameters out of the graph no gradient of theirs is computed, and the
        # unwrapped D does not wait for an exchange that will not come.
        self.unwrapped_D.requires_grad_(False)
        try:
            for z, y in self._micro_batches(batches, self.G):
                objective = generator_objective(self.unwrapped_D, self.G, z, y, loss=self.loss)
                parts.append(self._backward(objective, len(batches)))
        finally:
            self.unwrapped_D.requires_grad_(True)
        self._note_nonfinite("G", self.unwrapped_G, parts)
        self.opt_g.step()
        return _mean(parts)

    def first_nonfinite_step(self) -> dict[str, int]:
        """Return the first step at which a network's loss or gradient was not finite; waits for the device."""
        steps = {name: int(step) for name, step in self._first_nonfinite.items()}
        return {name: step for name, step in steps.items() if step != _NEVER}

    def _micro_batches(self, batches: Batches, network: nn.Module) -> Iterator[tuple[Any, ...]]:
        """Go through micro-batches; processes exchange the network's gradients with the last one alone."""
        *earlier, last = batches
        with self.accelerator.no_sync(network):
            yield from earlier
        yield last

    def _backward(self, objective: Objective, micro_batches: int) -> dict[str, Tensor]:
        self.accelerator.backward(objective.total / micro_batches)
        return {**objective.parts, "total": objective.total.detach()}

    def _note_nonfinite(self, name: str, network: nn.Module, parts: Sequence[dict[str, Tensor]]) -> None:
        """Remember the step if loss or gradient is not finite.

        All on the device: waiting for a check would cost the host its lead over the GPU, and could not be captured. The
        loop asks for the result when it logs.
        """
        grads = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(grads)
        finite = torch.isfinite(norm) & torch.stack([torch.isfinite(part["total"]) for part in parts]).all()
        first = self._first_nonfinite[name]
        first.copy_(torch.where(finite, first, torch.minimum(first, self._step)))


def _mean(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
