"""Evaluations during a run, of the averaged and the raw generator: in the run's folder and its trackers."""

from pathlib import Path

import torch
from accelerate.utils import broadcast

from sngan_cond import Generator
from train.config import TrainConfig
from train.data.dataset import PreparedDataset
from train.errors import EvaluationError
from train.evaluation.checks import check_request, needs_extractor
from train.evaluation.classifier_file import load_classifier
from train.evaluation.distributed import Processes
from train.evaluation.extractors import load_extractor
from train.evaluation.measure import evaluate
from train.evaluation.protocols import protocol_named
from train.evaluation.real_features import default_cache
from train.evaluation.report import Report
from train.run.run import Run
from train.trainer.state import Networks, exported

_GENERATORS = ("ema", "generator")  # averaged and raw; each has a file a step


def open_evaluation(
    config: TrainConfig, dataset: PreparedDataset, run: Run, networks: Networks
) -> "EvaluationCallback":
    """Load what evaluations need before the first step, so that a missing or unfit part fails at once.

    Args:
        dataset: whose images are compared with, unless `evaluation.data` names another.
        run: whose processes share the work.
    Raises:
        EvaluationError: if protocol, metrics, extractor or classifier cannot be had, or do not fit run or data.
        DataError: if `evaluation.data` cannot be used.
    """
    evaluation = EvaluationCallback(config, dataset, run)
    evaluation.check(networks.ema.network)
    return evaluation


class EvaluationCallback:
    """Evaluates a run's generators; every process must call.

    Args:
        dataset: whose images are compared with, unless `evaluation.data` names another.
        run: whose processes share the work.
    """

    def __init__(self, config: TrainConfig, dataset: PreparedDataset, run: Run) -> None:
        asked = config.evaluation
        device = run.accelerator.device
        self.run = run
        self.seed = config.seed
        self.batch_size = asked.batch
        self.protocol = protocol_named(asked.protocol).reduced(fakes=asked.fakes, reals=asked.reals)
        self.dataset = dataset if asked.data is None else PreparedDataset.open(asked.data)
        self.metrics = asked.metrics or self.protocol.metrics
        self.classifier = None if asked.classifier is None else load_classifier(asked.classifier)
        if self.classifier is not None:
            self.classifier.network.to(device)
            self.metrics = tuple(dict.fromkeys((*self.metrics, "classifier_accuracy")))
        self.extractor = None
        if needs_extractor(self.metrics):
            weights = None if asked.weights is None else Path(asked.weights)
            self.extractor = load_extractor(asked.extractor, weights=weights, device=device)

    def check(self, network: torch.nn.Module) -> None:
        """Raise if a network could not be evaluated as asked.

        Raises:
            EvaluationError: one line that names what does not fit.
        """
        assert isinstance(network, Generator)
        check_request(network, self.dataset, self.protocol, self.metrics, self.extractor, self.classifier)

    def catch_up(self, networks: Networks, step: int, *, images_seen: int) -> None:
        """Score a step whose files are not there, because a kill or a stop came first.

        A step that has its files keeps them; settings of `evaluation` that have changed count from the next one on.

        Args:
            networks: as they were at the step.
            images_seen: real images shown to D.
        """
        files = (self._folder(step) / f"{name}.json" for name in _GENERATORS)
        if Processes(self.run.accelerator).from_main(all(file.is_file() for file in files)):
            return
        self.run.forget(step, tuple(f"{name}/" for name in _GENERATORS))
        self.score(networks, step, images_seen=images_seen)

    def score(self, networks: Networks, step: int, *, images_seen: int) -> None:
        """Log every score, and write `evaluations/step-XXXXXXXX/{ema,generator}.json`.

        An evaluation that fails is reported, and the run goes on.

        Args:
            networks: whose generators are evaluated, through copies.
            images_seen: real images shown to D.
        """
        try:
            reports = {
                name: self._evaluate(network, f"step {step}, {name}")
                for name, network in zip(_GENERATORS, (networks.ema.network, networks.updates.unwrapped_G), strict=True)
            }
            values = {f"{name}/{row['name']}": float(row["value"]) for name in reports for row in reports[name].metrics}
            self.run.log(step, images_seen, values)  # first: a step with its files has its scores in the log
            if self.run.is_main:
                for name, report in reports.items():
                    report.write(self._folder(step) / f"{name}.json")
        except EvaluationError as error:
            self.run.print(f"step {step}: not scored: {error}")

    def _folder(self, step: int) -> Path:
        return self.run.folder / "evaluations" / f"step-{step:08d}"

    def _evaluate(self, network: torch.nn.Module, name: str) -> Report:
        return evaluate(
            _shared_copy(network),
            self.dataset,
            self.protocol,
            extractor=self.extractor,
            metrics=self.metrics,
            seed=self.seed,
            batch_size=self.batch_size,
            classifier=self.classifier,
            accelerator=self.run.accelerator,
            cache=default_cache(),
            model=name,
            progress=False,
        )


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
