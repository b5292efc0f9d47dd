"""Evaluations during a run, of the averaged and the raw generator: in the run's folder and its trackers."""

from pathlib import Path

import torch
from accelerate.utils import broadcast

from sngan_cond import Generator
from train.config import TrainConfig
from train.data.dataset import PreparedDataset
from train.errors import EvaluationError
from train.evaluation.checks import check, check_held_out
from train.evaluation.distributed import Processes
from train.evaluation.job import open_evaluation
from train.evaluation.measure import evaluate
from train.evaluation.real_features import default_cache
from train.run.run import Run
from train.trainer.state import Networks, exported

_GENERATORS = ("ema", "generator")  # averaged and raw; each has a file a step


class EvaluationCallback:
    """Evaluates a run's generators; every process must call.

    What it needs is loaded before the first step, so that a missing or unfit part fails at once.

    Args:
        dataset: whose images are compared with, unless `evaluation.data` names another.
        run: whose processes share the work.
    Raises:
        EvaluationError: if protocol, metrics, extractor or classifier cannot be had, or do not fit run or data, or if
            `evaluation.test` holds the images that the run trains on.
        DataError: if `evaluation.data` cannot be used.
    """

    def __init__(self, config: TrainConfig, dataset: PreparedDataset, run: Run, networks: Networks) -> None:
        asked = config.evaluation
        self.run = run
        self.evaluation = open_evaluation(
            asked,
            dataset if asked.data is None else PreparedDataset.open(asked.data),
            device=run.accelerator.device,
            seed=config.seed,
            processes=Processes(run.accelerator, before_collective=run.watch.meet),
            cache=default_cache(),
        )
        self.names = _GENERATORS if config.ema.decay else _GENERATORS[1:]  # without decay both are the same
        assert isinstance(networks.ema.network, Generator)
        check(self.evaluation, networks.ema.network)
        check_held_out(self.evaluation, dataset, f"data.path={config.data.path}")

    def catch_up(self, networks: Networks, step: int, *, images_seen: int) -> None:
        """Score a step whose files are not there, because a kill or a stop came first.

        A step that has its files keeps them; settings of `evaluation` that have changed count from the next one on.

        Args:
            networks: as they were at the step.
            images_seen: real images shown to D.
        """
        files = (self._file(step, name) for name in self.names)
        if self.evaluation.processes.from_main(all(file.is_file() for file in files)):
            return
        self.run.forget(step, tuple(f"{name}/" for name in self.names))
        self.score(networks, step, images_seen=images_seen)

    def score(self, networks: Networks, step: int, *, images_seen: int) -> None:
        """Log every score, and write `evaluations/step-XXXXXXXX/{ema,generator}.json`, ema of an average that decays.

        An evaluation that fails, or a file that cannot be written, is reported, and the run goes on. Copies of the
        generators are evaluated.
        """
        try:
            generators = dict(zip(_GENERATORS, (networks.ema.network, networks.updates.G), strict=True))
            reports = {
                name: evaluate(self.evaluation, _shared_copy(generators[name]), model=f"step {step}, {name}")
                for name in self.names
            }
            values = {f"{name}/{row['name']}": float(row["value"]) for name in reports for row in reports[name].metrics}
            self.run.log(step, images_seen, values)  # first: a step with its files has its scores in the log
        except EvaluationError as error:
            self.run.print(f"step {step}: not scored: {error}")
            return
        try:
            if self.run.is_main:
                for name, report in reports.items():
                    report.write(self._file(step, name))
        except EvaluationError as error:
            self.run.print(f"step {step}: scores are in the log; {error}")

    def _file(self, step: int, name: str) -> Path:
        return self.run.folder / "evaluations" / f"step-{step:08d}" / f"{name}.json"


def _shared_copy(network: torch.nn.Module) -> Generator:
    """Make the generator that would be loaded from a checkpoint saved now.

    It runs in float32 like a loaded one, whatever the precision of training, and has the running statistics of the
    main process, which are the ones that are saved.
    """
    assert isinstance(network, Generator)
    with torch.random.fork_rng(devices=[]):
        fresh = Generator(network.config)
    fresh.load_state_dict(exported(network).state_dict())
    fresh.to(next(network.parameters()).device)
    for buffer in fresh.buffers():
        buffer.copy_(broadcast(buffer))
    return fresh
