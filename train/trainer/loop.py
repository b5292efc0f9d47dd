"""The training loop: one G update, then n_dis D updates on fresh batches, as in the official updater."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from sngan_cond.objectives import DiscriminatorBatch
from train.config import TrainConfig
from train.data.dataset import PreparedDataset
from train.data.feed import RealBatches
from train.errors import TrainError
from train.publishing.publisher import NoPublisher, Publisher, open_publisher
from train.run.run import Run
from train.trainer.noise import LatentSampler
from train.trainer.samples import save_sample_grid
from train.trainer.state import Networks

if TYPE_CHECKING:
    from train.trainer.scoring import EvaluationCallback


class _Training(NamedTuple):
    """What a run has open while it trains; the evaluation is None where none is asked for."""

    config: TrainConfig
    run: Run
    networks: Networks
    noise: LatentSampler
    real: RealBatches
    evaluation: "EvaluationCallback | None"
    publisher: Publisher | NoPublisher
    throughput: "_Throughput"


def train(config: TrainConfig, run_dir: Path) -> int:
    """Train, or continue, a run until its last step or a request to stop.

    Args:
        config: what to train.
        run_dir: where the run is kept; the same call continues it.
    Returns:
        Number of steps taken in all.
    Raises:
        TrainError: if something the user can mend is wrong.
        DataError: if the data set cannot be used.
    """
    dataset = open_dataset(config)
    with ExitStack() as stack:
        t, step = _open(config, run_dir, dataset, stack)
        updates, stopping = t.networks.updates, False
        while step < config.steps and not stopping:
            factor = linear_decay(step, decay_from=config.decay_from, steps=config.steps)
            updates.start_step(step, lr_g=config.optim_g.lr * factor, lr_d=config.optim_d.lr * factor)
            g = updates.step_g(list(_g_batches(config, t.noise, step)))
            for i in range(config.d_updates_per_step):
                update = step * config.d_updates_per_step + i
                rng = t.noise.rank_rng("penalty", update)
                d = updates.step_d(list(_d_batches(config, t.noise, t.real, update)), rng=rng)
            # After D's updates, which move the running statistics of G's batch norms: the official snapshots have them.
            t.networks.ema.update(updates.unwrapped_G, step)
            step += 1
            stopping = _after_step(t, step, g, d, factor)
        if step == config.steps:
            t.publisher.drain()
    if t.networks.last_saved is not None:
        t.run.print(_summary(t.run, t.networks.last_saved, step))
    return step


def linear_decay(step: int, *, decay_from: int | None, steps: int) -> float:
    """Return the factor on both learning rates for the update of a step.

    1 up to `decay_from`, then a line that would reach 0 at `steps`: the last update still moves.
    Source: Miyato et al. 2018, appendix B.3; chainer.training.extensions.LinearShift in the official train.py.

    Args:
        step: number of steps taken before this one.
        decay_from: where the line begins; None keeps 1.
        steps: where it would end.
    """
    if decay_from is None or step <= decay_from:
        return 1.0
    return 1.0 - (step - decay_from) / (steps - decay_from)


def open_dataset(config: TrainConfig) -> PreparedDataset:
    """Open the prepared data set of a run and check that it fits.

    Raises:
        TrainError: if side or number of classes differ from the configuration's.
        DataError: if the folder is missing or damaged.
    """
    dataset = PreparedDataset.open(config.data.path)
    if dataset.resolution != config.resolution:
        raise TrainError(
            f"data.path={config.data.path}: images of {dataset.resolution} px, resolution={config.resolution}"
        )
    if config.num_classes and dataset.num_classes != config.num_classes:
        raise TrainError(
            f"data.path={config.data.path}: {dataset.num_classes} classes, num_classes={config.num_classes}; "
            f"--set num_classes={dataset.num_classes} fits"
        )
    return dataset


def _open(config: TrainConfig, run_dir: Path, dataset: PreparedDataset, stack: ExitStack) -> tuple[_Training, int]:
    """Open all parts of a run and bring them to the step where it goes on; `stack` closes them."""
    run = Run(config, run_dir)
    stack.callback(run.close)
    networks = Networks(config, run, dataset)
    step = networks.resume()
    rank, device = run.accelerator.process_index, run.accelerator.device
    noise = LatentSampler(networks.generator_config, config.seed, rank, run.world_size, device)
    real = RealBatches(
        dataset,
        config.batch_total,
        seed=config.seed,
        rank=rank,
        world_size=run.world_size,
        device=device,
        flip=config.data.flip,
        resident=config.data.resident,
    )
    stack.callback(real.close)
    evaluation = None
    if config.evaluation.every:
        from train.trainer.scoring import open_evaluation  # it takes longer to import than all others

        evaluation = open_evaluation(config, dataset, run, networks)
    publisher = open_publisher(config.hub, run_dir, is_main=run.is_main, log=run.print)
    stack.callback(publisher.close)
    run.start(step)
    run.catch_signals()
    # The run may have been killed after saving a step and before publishing or scoring it; both skip what is done.
    if networks.last_saved is not None and _publishes(config, step):
        publisher.submit(networks.last_saved, step)
    if evaluation is not None and _scores(config, step):
        evaluation.catch_up(networks, step, images_seen=_images_seen(config, step))
    throughput = _Throughput(config, step)
    t = _Training(config, run, networks, noise, real, evaluation, publisher, throughput)
    _print_speed_notes(t)
    return t, step


def _after_step(t: _Training, step: int, g: dict[str, Tensor], d: dict[str, Tensor], factor: float) -> bool:
    """Log, draw samples, save, publish and score where it is time; returns whether the run is asked to stop."""
    config, run, networks = t.config, t.run, t.networks
    is_last = step == config.steps
    if step % config.log_every == 0 or is_last:
        _log(t, step, g, d, factor)
    if step % config.sample_every == 0 or is_last:
        save_sample_grid(run, networks, step)
    stopping = run.should_stop()
    if step % config.save_every == 0 or is_last or stopping or _publishes(config, step):
        _check_finite(networks)
        networks.save(step, images_seen=_images_seen(config, step))
    if networks.last_saved is not None and _publishes(config, step):
        t.publisher.submit(networks.last_saved, step)
    if t.evaluation is not None and _scores(config, step):
        if stopping:  # whoever sent the signal may kill the process seconds later
            run.print(f"step {step}: not scored yet; the same command does it")
        else:
            t.evaluation.score(networks, step, images_seen=_images_seen(config, step))
            t.throughput.restart(step)
    return stopping


class _Throughput:
    """Real images a second since the last log line, evaluation apart."""

    def __init__(self, config: TrainConfig, step: int) -> None:
        self._config = config
        self.restart(step)

    def restart(self, step: int) -> None:
        self._step, self._since = step, time.monotonic()

    def read(self, step: int) -> float:
        return _images_seen(self._config, step - self._step) / (time.monotonic() - self._since)


def _log(t: _Training, step: int, g: dict[str, Tensor], d: dict[str, Tensor], factor: float) -> None:
    _print_speed_notes(t)
    _check_finite(t.networks)
    rate = t.throughput.read(step)
    scalars: dict[str, Tensor | float] = {f"g/{name}": value for name, value in g.items()}
    scalars |= {f"d/{name}": value for name, value in d.items()}
    scalars |= {"images_per_second": rate}
    scalars |= {"lr_g": t.config.optim_g.lr * factor, "lr_d": t.config.optim_d.lr * factor}
    t.run.log(step, _images_seen(t.config, step), scalars)
    t.run.show(step, rate, float(d["loss"]))
    t.throughput.restart(step)


def _print_speed_notes(t: _Training) -> None:
    for note in t.networks.updates.new_notes():
        t.run.print(f"speed: {note}")


def _check_finite(networks: Networks) -> None:
    for name, bad_step in networks.updates.first_nonfinite_step().items():
        last = networks.last_saved or "none yet"
        raise TrainError(
            f"step {bad_step}: loss or gradient of {name} is not finite; the run stops. Last good checkpoint: {last}. "
            "Lower the learning rate, or use precision=fp32"
        )


def _summary(run: Run, model: Path, step: int) -> str:
    """Say where the images are and how to make more."""
    grids = sorted((run.folder / "samples").glob("step-*.png"))
    named = " --class 0" if run.config.num_classes else ""
    return (
        f"step {step} of {run.config.steps}; model: {model}\n"
        + (f"samples: {grids[-1]}\n" if grids else "")
        + f"sample again: sngan-cond sample --model {model}{named} --n 16 --out grid.png"
    )


def _publishes(config: TrainConfig, step: int) -> bool:
    return config.hub.repo is not None and (step % config.hub.every == 0 or step == config.steps)


def _scores(config: TrainConfig, step: int) -> bool:
    return config.evaluation.every > 0 and step > 0 and step % config.evaluation.every == 0


def _images_seen(config: TrainConfig, steps: int) -> int:
    return steps * config.d_updates_per_step * config.batch_total


def _g_batches(config: TrainConfig, noise: LatentSampler, step: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    z, y = noise.fakes("g", step, config.fakes_per_step)
    return zip(z.chunk(config.accumulate), _chunks(y, config.accumulate), strict=True)


def _d_batches(
    config: TrainConfig, noise: LatentSampler, real: RealBatches, update: int
) -> Iterator[DiscriminatorBatch]:
    n = config.accumulate
    x, y = real.at(update)
    z, y_fake = noise.fakes("d", update, config.batch_total)
    parts = (x.chunk(n), _chunks(y if config.num_classes else None, n), z.chunk(n), _chunks(y_fake, n))
    return (DiscriminatorBatch(*part) for part in zip(*parts, strict=True))


def _chunks(y: Tensor | None, n: int) -> tuple[Tensor | None, ...]:
    return (None,) * n if y is None else y.chunk(n)
