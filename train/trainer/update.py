"""One D update and one G update: objective, backward pass, optimiser; the only place where gradients are made."""

from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sngan_cond import Constraint, LossConfig
from sngan_cond.config import AugmentConfig
from sngan_cond.constraints.spectral import BatchedPowerIterations
from sngan_cond.objectives import (
    DiscriminatorBatch,
    GeneratorBatch,
    Objective,
    discriminator_objective,
    generator_objective,
    initial_objective_state,
    next_objective_state,
    shared_parts,
)
from train.sections import SpeedConfig
from train.trainer.cuda_graphs import Batches, Exchange, GraphedUpdate, Update
from train.trainer.gradients import Gradients
from train.trainer.speed import SpeedPlan, plan_speed

_NEVER = torch.iinfo(torch.int64).max


class Updates:
    """Both updates of a run, the same for one process as for many.

    `step_d` and `step_g` take one update each, from this process's micro-batches, and return named loss parts, detached
    and averaged over micro-batches; nothing in them waits for the device, unless singular values are clipped. They are
    `_step_d` and `_step_g` themselves, or CUDA graphs of them.

    Networks and optimisers are prepared for the accelerator's device and precision. No `DistributedDataParallel` wraps
    the networks: gradients are exchanged whole, once an update, between what is recorded before and after.

    Args:
        accelerator: whose processes share the updates; all of them start with equal networks.
        G: in its memory layout already, as D is.
        D: with its constraint attached.
        constraint: whose penalty and `after_step` belong to the D update.
        augment: of all images that D scores; None shows them as they are.
        speed: how the updates are run; `notes` says what of it cannot be had, and why.
    """

    step_d: Update | GraphedUpdate
    step_g: Update | GraphedUpdate

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
        augment: AugmentConfig | None = None,
        speed: SpeedConfig | None = None,
    ) -> None:
        self.accelerator = accelerator
        # In evaluation mode Accelerate adds precision and device and leaves out the wrapper; train mode stays.
        self.G, self.D = (accelerator.prepare_model(network, evaluation_mode=True) for network in (G, D))
        self.opt_g, self.opt_d = (accelerator.prepare_optimizer(optimizer) for optimizer in (opt_g, opt_d))
        self.constraint = constraint
        self.loss, self.augment = loss, augment or AugmentConfig()
        # Changed in place, where CUDA graphs find it.
        self.objective_state = initial_objective_state(loss, self.augment, device=accelerator.device)
        self._trained_d = [parameter for parameter in self.D.parameters() if parameter.requires_grad]
        processes = accelerator.num_processes
        self._gradients_g = Gradients(self.G, processes=processes)
        self._gradients_d = Gradients(self.D, processes=processes, statistics=shared_parts(loss, self.augment))
        self._step = torch.zeros((), dtype=torch.int64, device=accelerator.device)
        self._first_nonfinite = {name: torch.full_like(self._step, _NEVER) for name in ("D", "G")}
        self._plan = plan_speed(
            speed or SpeedConfig(),
            device=accelerator.device,
            constraint=constraint,
            exchanges_statistics=processes > 1 and any(isinstance(m, nn.SyncBatchNorm) for m in self.G.modules()),
        )
        self.notes, self._returned = self._plan.notes, set[str]()
        self._compile(self._plan)
        self._capture(self._plan)

    def _compile(self, plan: SpeedPlan) -> None:
        for network, compiled in ((self.D, plan.compile_d), (self.G, plan.compile_g)):
            # torch.compile cannot handle u being overwritten between a forward pass and its backward. With all power
            # iterations before the pass, nothing is written inside it.
            if plan.batched_sn or compiled:
                BatchedPowerIterations().attach(network)
            for part in network.children() if compiled else ():
                part.compile(dynamic=False)

    def _capture(self, plan: SpeedPlan) -> None:
        self.step_d, self.step_g = self._step_d, self._step_g
        pool = torch.cuda.graph_pool_handle() if plan.capture_g or plan.capture_d else None
        if plan.capture_d:
            self.step_d = GraphedUpdate("D", self._step_d, exchange=self._gradients_d.all_reduce, pool=pool)
        if plan.capture_g:
            self.step_g = GraphedUpdate("G", self._step_g, exchange=self._gradients_g.all_reduce, pool=pool)
        for optimizer, captured in ((self.opt_d, plan.capture_d), (self.opt_g, plan.capture_g)):
            for group in optimizer.param_groups if captured else ():
                group["capturable"] = True
                group["lr"] = torch.tensor(group["lr"], device=self.accelerator.device)  # a graph reads it there

    def new_notes(self) -> list[str]:
        """Return the notes on unavailable speed switches that were not returned before."""
        new = [note for note in self.notes if note not in self._returned]
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

    def _step_d(
        self, batches: Batches, rng: torch.Generator | None = None, exchange: Exchange | None = None
    ) -> dict[str, Tensor]:
        """Take one D update: gradients, their exchange, and what follows from them; as `Update` says.

        Args:
            batches: `DiscriminatorBatch` of each micro-batch.
            rng: of the constraint's penalty.
        """
        self._gradients_d.zero_()
        parts = []
        for batch in batches:
            objective = discriminator_objective(
                self.D,
                self.G,
                DiscriminatorBatch(*batch),
                loss=self.loss,
                constraint=self.constraint,
                rng=rng,
                augment=self.augment,
                state=self.objective_state,
                one_call=self._plan.one_call,
            )
            parts.append(self._backward(objective, self._gradients_d, len(batches)))
        (exchange or self._gradients_d.all_reduce)()
        norm = self._gradient_norm("D", self._gradients_d)
        self.opt_d.step()
        self.constraint.after_step(self.D)
        # Before the state moves, which the log shows as the update found it.
        mean = {**_mean(parts), "gradient_norm": norm}
        self._move_state(sum(len(batch[0]) for batch in batches) * self.accelerator.num_processes)
        return mean

    def _step_g(
        self, batches: Batches, rng: torch.Generator | None = None, exchange: Exchange | None = None
    ) -> dict[str, Tensor]:
        """Take one G update, in the same order.

        Args:
            batches: `GeneratorBatch` of each micro-batch.
            rng: ignored; an `Update` has it for D's penalty.
        """
        self._gradients_g.zero_()
        parts = []
        for parameter in self._trained_d:  # D is a fixed function here: no gradient of its parameters is computed
            parameter.requires_grad_(False)
        try:
            for z, y, numbers in (GeneratorBatch(*batch) for batch in batches):
                objective = generator_objective(
                    self.D,
                    self.G,
                    z,
                    y,
                    loss=self.loss,
                    augment=self.augment,
                    numbers=numbers,
                    state=self.objective_state,
                )
                parts.append(self._backward(objective, self._gradients_g, len(batches)))
        finally:
            for parameter in self._trained_d:
                parameter.requires_grad_(True)
        (exchange or self._gradients_g.all_reduce)()
        norm = self._gradient_norm("G", self._gradients_g)
        self.opt_g.step()
        return {**_mean(parts), "gradient_norm": norm}

    def first_nonfinite_step(self) -> dict[str, int]:
        """Return the first step at which a network's loss or gradient was not finite; waits for the device."""
        steps = {name: int(step) for name, step in self._first_nonfinite.items()}
        return {name: step for name, step in steps.items() if step != _NEVER}

    def _backward(self, objective: Objective, gradients: Gradients, micro_batches: int) -> dict[str, Tensor]:
        # Not by Accelerate's `backward`, which divides the loss by a number of steps that the environment may hold.
        gradients.share(objective.total, micro_batches, objective.parts).backward()
        return {**objective.parts, "total": objective.total.detach()}

    def _move_state(self, images: int) -> None:
        """Move the objective's state, in place, by what all micro-batches of all processes scored."""
        if self._gradients_d.statistics:
            moved = next_objective_state(
                self.objective_state,
                self._gradients_d.statistics,
                loss=self.loss,
                augment=self.augment,
                images=images,
            )
            for name, value in moved.items():
                self.objective_state[name].copy_(value)

    def _gradient_norm(self, name: str, gradients: Gradients) -> Tensor:
        """Return the norm of a gradient, and remember the step if it or the loss, of whichever process, is not finite.

        All on the device: waiting for a check would cost the host its lead over the GPU, and could not be captured. The
        loop asks for the result when it logs.
        """
        first, norm = self._first_nonfinite[name], gradients.norm()
        first.copy_(torch.where(gradients.finite(norm), first, torch.minimum(first, self._step)))
        return norm


def _mean(parts: list[dict[str, Any]]) -> dict[str, Tensor]:
    return {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
