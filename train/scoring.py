"""Scores during a run: of the averaged and the raw generator, written beside the run and sent to its trackers."""

from pathlib import Path

import torch
from accelerate.utils import broadcast

from sngan_cond import Generator
from train.config import TrainConfig
from train.data.dataset import PreparedDataset
from train.evaluation.checks import needs_extractor
from train.evaluation.classifier_file import load_classifier
from train.evaluation.extractors import load_extractor
from train.evaluation.measure import evaluate
from train.evaluation.protocols import protocol_named
from train.evaluation.real_side import default_cache
from train.networks import Networks, exported
from train.run import Run


class NoScorer:
    """Stands for a `Scorer` where a run is not evaluated."""

    def score(self, networks: Networks, step: int, *, images_seen: int) -> None:
        """Do nothing."""


def open_scorer(config: TrainConfig, dataset: PreparedDataset, run: Run) -> "Scorer | NoScorer":
    """Load what evaluations need, before the first step, so that what is missing is said at once.

    Args:
        config: of the run.
        dataset: of the run; the real side unless `evaluation.data` names another.
        run: whose processes share the work.
    Raises:
        EvaluationError: if protocol, metrics, extractor or classifier cannot be had.
        DataError: if `evaluation.data` cannot be used.
    """
    return Scorer(config, dataset, run) if config.evaluation.every else NoScorer()


class Scorer:
    """Evaluates a run's generators; every process must call.

    Args:
        config: of the run.
        dataset: the real side unless `evaluation.data` names another.
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

    def score(self, networks: Networks, step: int, *, images_seen: int) -> None:
        """Write `evaluations/step-XXXXXXXX/{ema,generator}.json` and log every score.

        Args:
            networks: whose generators are evaluated, through copies.
            step: number of steps taken.
            images_seen: real images shown to D.
        """
        folder = self.run.folder / "evaluations" / f"step-{step:08d}"
        values: dict[str, torch.Tensor | float] = {}
        for name, network in (("ema", networks.ema.network), ("generator", networks.updates.bare_G)):
            report = evaluate(
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
                model=f"step {step}, {name}",
                progress=False,
            )
            if self.run.is_main:
                report.write(folder / f"{name}.json")
            values |= {f"{name}/{row['name']}": float(row["value"]) for row in report.metrics}
        self.run.log(step, images_seen, values)


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
