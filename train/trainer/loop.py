"""The training loop: one G update, then n_dis D updates on fresh batches, as in the official updater."""

import gc
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from sngan_cond.fast.waiting import WAITING
from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER
from train.config import TrainConfig
from train.data.dataset import PreparedDataset
from train.data.remarks import remarks
from train.errors import TrainError
from train.publishing.publisher import forget_published, open_publisher
from train.run.checkpoint import saved_steps
from train.run.run import Run
from train.trainer.batches import Batches
from train.trainer.ending import RunEnd, summary
from train.trainer.freezing import check_frozen
from train.trainer.health import Health
from train.trainer.known_data import check_data, open_data
from train.trainer.samples import EARLY, SampleGrids
from train.trainer.schedule import linear_decay
from train.trainer.start import StartModel, open_model
from train.trainer.state import Networks, with_names

if TYPE_CHECKING:
    from train.trainer.scoring import EvaluationCallback


def train(config: TrainConfig, run_dir: Path, *, start_anew: bool = False, verify_data: bool = False) -> RunEnd:
    """Train, or continue, a run until its last step, a request to stop, or its monitor's.

    Args:
        run_dir: where the run is kept; the same call continues it.
        start_anew: as for `Run`.
        verify_data: read every byte of the data set first.
    Raises:
        TrainError: if something the user can mend is wrong.
        DataError: if the data set cannot be used.
    """
    dataset, run = open_data(config, verify=verify_data), None
    while True:  # again where it goes back to an older checkpoint
        with ExitStack() as stack:
            start = _find_start(config, run_dir, dataset, start_anew=start_anew)
            t = _Training(config, Run(config, run_dir, start_anew=start_anew), dataset, start, stack, run)
            updates, stopping = t.networks.updates, t.health.verdict is not None
            if t.step >= config.steps:
                t.run.print(f"step {t.step} of {config.steps} was taken before; with more steps the run goes on")
            while t.step < config.steps and not stopping:
                WAITING.adapt()
                factor = t.health.rate_factor * linear_decay(t.step, decay_from=config.decay_from, steps=config.steps)
                updates.start_step(t.step, lr_g=config.optim_g.lr * factor, lr_d=config.optim_d.lr * factor)
                batch_g = t.batches.of_g(t.step)
                t.run.watch.begin_update(t.step)
                g = updates.step_g(batch_g)
                for i in range(config.d_updates_per_step):
                    update = t.step * config.d_updates_per_step + i
                    batch_d = t.batches.of_d(update)
                    t.run.watch.begin_update(t.step)
                    d = updates.step_d(batch_d, rng=t.batches.penalty_rng(update))
                # After D's updates, which move the running statistics of G's batch norms: the official snapshots have
                # them. A few launches, outside the CUDA graphs: when the average starts is decided here, on the host.
                t.networks.ema.update(updates.G, t.step)
                t.step += 1
                stopping = t.after_step(g, d, factor)
            t.finish()
        run = t.run
        if not run.begins_again:
            return t.end()
        del t, updates
        gc.collect()  # the networks, before they are made again


class _Training:
    """A run while it trains, with all that is open: each part is brought to the step where the run goes on.

    Args:
        start: model to start from, None for a run that goes on or starts without one.
        stack: closes what was opened.
        before: the run as it was when it went back, None where it did not.
    """

    evaluation: "EvaluationCallback | None" = None
    asked_to_stop = goes_back = False  # by a signal; to an older checkpoint

    def __init__(
        self,
        config: TrainConfig,
        run: Run,
        dataset: PreparedDataset,
        start: StartModel | None,
        stack: ExitStack,
        before: Run | None,
    ) -> None:
        self.config = config
        self.run = run
        stack.enter_context(run)
        stack.callback(self._go_back)  # once all below is closed, and before others are let into the folder
        self.networks = Networks(config, run, dataset)
        self.step = self.networks.resume(start)
        data = check_data(run, dataset, self.networks.data_before, step=self.step)
        if self.networks.writer.newest is not None:
            run.print(f"continuing at step {self.step} from {self.networks.writer.newest}")
        self.batches = Batches(
            config,
            dataset,
            self.networks.generator_config,
            rank=run.accelerator.process_index,
            world_size=run.world_size,
            device=run.accelerator.device,
        )
        stack.callback(self.batches.real.close)
        self.health = Health(config, run, self.networks, self.batches.real)
        self.grids = stack.enter_context(SampleGrids(run, self.networks))
        if config.evaluation.every:
            from train.trainer.scoring import EvaluationCallback  # it takes longer to import than all others

            self.evaluation = EvaluationCallback(config, dataset, run, self.networks)
        self.publisher = open_publisher(config.hub, run.folder, is_main=run.is_main, log=run.print)
        stack.callback(self._stop_publishing)
        stack.enter_context(self.networks.writer)  # closed before the publisher, which it calls, and the folder's lock
        for line in () if before else (data, *(f"note: {remark}" for remark in remarks(dataset.info, config))):
            run.print(line)
        run.start(self.step, before)
        self.health.print_found(self.step)
        # The run may have been killed after saving a step and before publishing or scoring it; both skip what is done.
        if (publish := self._publication()) is not None and self.networks.writer.newest is not None:
            publish(self.networks.writer.newest)
        if self.evaluation is not None and self._scores():
            with run.watch.long_work("scoring"):
                self.evaluation.catch_up(self.networks, self.step, images_seen=self.images_seen)
        if self.step == 0:
            self.grids.save(0)
        self._restart_clock()
        self._print_speed_notes()

    def finish(self) -> None:
        """Bring to its end what goes on in the background, once no more steps are taken."""
        self.networks.finish_saving()
        self.grids.wait()
        self.grids.send(self.step)
        with self.run.watch.long_work("publishing"):
            if self.step == self.config.steps and self.publisher is not None:
                self.publisher.drain()
        self.goes_back = self.health.verdict == "rollback"
        self.run.begins_again = self.goes_back and not self.asked_to_stop

    def _stop_publishing(self) -> None:
        if self.publisher is not None:
            with self.run.watch.busy("publishing"):  # while the others wait for it at their end, or in a collective
                self.publisher.close()

    def end(self) -> RunEnd:
        """Say how the run ended, once all is closed."""
        newest, illness = self.networks.writer.newest, self.health.summary()
        if newest is not None and newest.exists():
            self.run.print(summary(self.run, newest, self.networks.generator_config, self.step))
        if illness:
            self.run.print(illness)
        return RunEnd(self.step, bool(illness) and not self.asked_to_stop)

    def _go_back(self) -> None:
        if self.goes_back:
            self.run.on_main(lambda: self.run.mend_folder(self.step))  # which may be another run's by now
            # First: published steps without a checkpoint tell of lost ones.
            self.run.on_main(lambda: forget_published(self.run.folder, self.health.last_healthy()))
            self.health.roll_back(self.step)

    @property
    def images_seen(self) -> int:
        """Real images shown to D."""
        return self.step * self.config.d_updates_per_step * self.config.batch_total

    def after_step(self, g: dict[str, Tensor], d: dict[str, Tensor], factor: float) -> bool:
        """Log, draw samples, save, publish and score where it is time; returns whether the run is asked to stop."""
        config, run, networks, step = self.config, self.run, self.networks, self.step
        networks.writer.check()
        if self._is_due(config.log_every):
            if not self._is_finite():
                return True
            self._log(g, d, factor)
        if self._is_due(config.sample_every) or step in EARLY or self._publishes():  # which shows what it sends
            self.grids.save(step)
        self.asked_to_stop = run.should_stop()
        if self.health.verdict == "rollback":  # what the run comes back from is not kept
            return True
        stopping = self.asked_to_stop or self.health.verdict == "stop"
        if self._is_due(config.save_every) or stopping or self._publishes():
            if not self._is_finite():
                return True
            self.grids.wait()  # a run that goes on from here draws it no more, and a publication takes it along
            networks.save(
                step,
                images_seen=self.images_seen,
                healthy=self.health.healthy,
                texts=self.health.text(),
                then=self._publication(),
            )
        if self.evaluation is not None and self._scores():
            if stopping:  # whoever sent the signal may kill the process seconds later
                run.print(f"step {step}: not scored yet; the same command does it")
            else:
                with run.watch.long_work("scoring"):
                    # Scores of a step that a kill takes back would pass for those of the next try.
                    if networks.is_saved():
                        self.evaluation.score(networks, step, images_seen=self.images_seen)
                    else:
                        run.print(f"step {step}: not scored, for its checkpoint could not be saved")
                self._restart_clock()
        return stopping

    def _log(self, g: dict[str, Tensor], d: dict[str, Tensor], factor: float) -> None:
        self._print_speed_notes()
        seen, since = self._clock
        rate = (self.images_seen - seen) / (time.monotonic() - since)
        scalars: dict[str, Tensor | float] = {f"g/{name}": value for name, value in g.items()}
        scalars |= {f"d/{name}": value for name, value in d.items()}
        scalars |= {"images_per_second": rate}
        scalars |= {"lr_g": self.config.optim_g.lr * factor, "lr_d": self.config.optim_d.lr * factor}
        scalars |= self.health.look(self.step)
        self.grids.send(self.step)
        self.health.see(self.step, self.run.log(self.step, self.images_seen, scalars))
        self.run.show(self.step, rate, float(d["loss"]))
        self._restart_clock()

    def _restart_clock(self) -> None:
        """Count the images a second from here on."""
        self._clock = self.images_seen, time.monotonic()

    def _print_speed_notes(self) -> None:
        for note in self.networks.updates.new_notes():
            self.run.print(f"speed: {note}")

    def _is_finite(self) -> bool:
        """Return whether all was finite until now; a run that does not go back from there ends with an error."""
        for name, bad_step in self.networks.updates.first_nonfinite_step().items():
            if self.health.goes_back_from(self.step, bad_step):
                return False
            self.networks.writer.settle()
            last = self.networks.writer.newest or "none yet"
            raise TrainError(
                f"step {bad_step}: loss or gradient of {name} is not finite; the run stops. Last good checkpoint: "
                f"{last}. Lower the learning rate, or use precision=fp32"
            )
        return True

    def _is_due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.steps

    def _publishes(self) -> bool:
        return self.config.hub.repo is not None and self._is_due(self.config.hub.every)

    def _publication(self) -> Callable[[Path], None] | None:
        """Return what takes this step's checkpoint over for publication, None if it is not published."""
        if self.publisher is None or not self._publishes():
            return None
        return partial(self.publisher.submit, step=self.step)

    def _scores(self) -> bool:
        return self.config.evaluation.every > 0 and self.step > 0 and self.step % self.config.evaluation.every == 0


def _find_start(config: TrainConfig, run_dir: Path, dataset: PreparedDataset, *, start_anew: bool) -> StartModel | None:
    """Read the model that a run starts from, before its folder is made; one with checkpoints needs it no more."""
    if config.init_from is None or (saved_steps(run_dir / CHECKPOINTS_FOLDER) and not start_anew):
        return None
    start = open_model(config.init_from, with_names(config.generator, dataset), config.init_classes)
    check_frozen(config, start)
    return start
