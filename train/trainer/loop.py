"""The training loop: one G update, then n_dis D updates on fresh batches, as in the official updater."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

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
from train.trainer.update import Updates

if TYPE_CHECKING:
    from train.trainer.scoring import EvaluationCallback


def linear_decay(step: int, *, decay_from: int | None, steps: int) -> float:
    """Return the factor on both learning rates for the update of a step.

    1 up to `decay_from`, then a line that would reach 0 at `steps`: the last update still moves.
    Source: 000 appendix B.3; chainer.training.extensions.LinearShift in the official train.py.

    Args:
        step: number of steps taken before this one.
        decay_from: where the line begins; None keeps 1.
        steps: where it would end.
    """
    if decay_from is None or step <= decay_from:
        return 1.0
    return 1.0 - (step - decay_from) / (steps - decay_from)


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
        run = Run(config, run_dir)
        stack.callback(run.close)
        networks = Networks(config, run, dataset)
        step = networks.resume()
        rank, device = run.accelerator.process_index, run.accelerator.device
        draws = LatentSampler(networks.generator_config, config.seed, rank, run.world_size, device)
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
        scorer = None
        if config.evaluation.every:
            from train.trainer.scoring import open_evaluation  # what evaluates takes longer to import than all the rest

            scorer = open_evaluation(config, dataset, run, networks)
        publisher = open_publisher(config.hub, run_dir, is_main=run.is_main, say=run.say)
        stack.callback(publisher.close)
        run.start(step)
        run.catch_signals()
        if networks.last_saved is not None and _publishes(config, step):
            publisher.submit(networks.last_saved, step)  # a kill may have come between saving and this
        if scorer is not None and _scores(config, step):
            scorer.catch_up(networks, step, images_seen=_images_seen(config, step))  # or between saving and scores
        step = _loop(config, run, networks, draws, real, scorer, publisher, step)
        if step == config.steps:
            publisher.drain()
    if networks.last_saved is not None:
        run.say(_farewell(run, networks.last_saved, step))
    return step


def _loop(
    config: TrainConfig,
    run: Run,
    networks: Networks,
    draws: LatentSampler,
    real: RealBatches,
    scorer: "EvaluationCallback | None",
    publisher: Publisher | NoPublisher,
    step: int,
) -> int:
    updates = networks.updates
    _tell(run, updates)
    since, logged_at = time.monotonic(), step
    while step < config.steps:
        factor = linear_decay(step, decay_from=config.decay_from, steps=config.steps)
        updates.set_lr(lr_g=config.optim_g.lr * factor, lr_d=config.optim_d.lr * factor)
        g_parts = updates.generator(list(_g_batches(config, draws, step)), step=step)
        for i in range(config.d_updates_per_step):
            update = step * config.d_updates_per_step + i
            batches = list(_d_batches(config, draws, real, update))
            d_parts = updates.discriminator(batches, step=step, generator=draws.rank_rng("penalty", update))
        networks.ema.update(
            updates.unwrapped_G, step
        )  # after D's updates, which move the statistics of G's batch norms
        step += 1

        if step % config.log_every == 0 or step == config.steps:
            _tell(run, updates)
            _check_finite(networks)
            rate = _images_seen(config, step - logged_at) / (time.monotonic() - since)
            rates = {"images_per_second": rate, "lr_g": config.optim_g.lr * factor, "lr_d": config.optim_d.lr * factor}
            _log(run, step, _images_seen(config, step), g_parts, d_parts, rates)
            since, logged_at = time.monotonic(), step
        if step % config.sample_every == 0 or step == config.steps:
            save_sample_grid(run, networks, step)
        stopping = run.should_stop()
        if step % config.save_every == 0 or step == config.steps or stopping or _publishes(config, step):
            _check_finite(networks)
            networks.save(step, images_seen=_images_seen(config, step))
        if networks.last_saved is not None and _publishes(config, step):
            publisher.submit(networks.last_saved, step)
        if stopping:
            if scorer is not None and _scores(config, step):  # who asked may wait for seconds only
                run.say(f"step {step}: not scored yet; the same command does it")
            break
        if scorer is not None and _scores(config, step):
            scorer.score(networks, step, images_seen=_images_seen(config, step))
            since, logged_at = time.monotonic(), step
    return step


def _tell(run: Run, updates: Updates) -> None:
    for note in updates.take_notes():
        run.say(f"speed: {note}")


def _farewell(run: Run, model: Path, step: int) -> str:
    """Say where the pictures are and how to make more."""
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


def _g_batches(config: TrainConfig, draws: LatentSampler, step: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    z, y = draws.fakes("g", step, config.fakes_per_step)
    for k in range(config.accumulate):
        yield _chunk(z, k, config.accumulate), None if y is None else _chunk(y, k, config.accumulate)


def _d_batches(
    config: TrainConfig, draws: LatentSampler, real: RealBatches, update: int
) -> Iterator[DiscriminatorBatch]:
    x, y_real = real.at(update)
    z, y_fake = draws.fakes("d", update, config.batch_total)
    for k in range(config.accumulate):
        yield DiscriminatorBatch(
            _chunk(x, k, config.accumulate),
            _chunk(y_real, k, config.accumulate) if config.num_classes else None,
            _chunk(z, k, config.accumulate),
            None if y_fake is None else _chunk(y_fake, k, config.accumulate),
        )


def _chunk(tensor: Tensor, k: int, count: int) -> Tensor:
    size = len(tensor) // count
    return tensor[k * size : (k + 1) * size]


def _log(
    run: Run, step: int, images_seen: int, g: dict[str, Tensor], d: dict[str, Tensor], rates: dict[str, float]
) -> None:
    scalars: dict[str, Tensor | float] = {f"g/{name}": value for name, value in g.items()}
    scalars |= {f"d/{name}": value for name, value in d.items()}
    run.log(step, images_seen, {**scalars, **rates})
    run.show(step, rates["images_per_second"], float(d["loss"]))


def _check_finite(networks: Networks) -> None:
    for name, bad_step in networks.updates.first_nonfinite_step().items():
        last = networks.last_saved or "none yet"
        raise TrainError(
            f"step {bad_step}: loss or gradient of {name} is not finite; the run stops. Last good checkpoint: {last}. "
            "Lower the learning rate, or use precision=fp32"
        )


def open_dataset(config: TrainConfig) -> PreparedDataset:
    """Open the prepared data set of a run and check that it fits.

    Args:
        config: what is to be trained.
    Returns:
        The data set.
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
