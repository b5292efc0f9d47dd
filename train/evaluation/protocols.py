"""Named protocols: how many images, which labels, which splits. Every score belongs to one."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from sngan_cond.validation import allowed_names
from train.errors import EvaluationError
from train.evaluation.metrics import METRICS

Labels = Literal["uniform", "balanced"]

MIN_IMAGES = 20  # with fewer, a covariance or ten splits mean nothing
MIN_PER_CLASS = 4


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything about a measurement that two scores must share to be comparable, apart from extractor and data.

    Args:
        name: as written beside every score.
        source: where the numbers come from, as `--help` shows it.
        metrics: measured unless others are asked for.
        score_fakes: generated images for the class score, exp of the mean KL divergence (Salimans et al. 2016).
        score_splits: equal parts of these images; the score is the mean over the parts.
        score_classes: how many of the extractor's classes the score is over, the first ones; None is all.
        fakes: generated images for distances, precision and recall: the first of the same stream.
        reals: real images for distances, precision and recall.
        labels: each drawn uniformly, or every class equally often (to within one image).
        kernel_subsets: random subsets for the kernel distance, which is the mean over them.
        kernel_subset_size: generated images in a subset, and as many real ones.
        neighbours: k of precision and recall (Kynkaanniemi et al. 2019).
        density_neighbours: k of density and coverage (Naeem et al. 2020).
        cas_fakes: generated images that a classifier learns from (Ravuri and Vinyals 2019).
        cas_epochs: passes of it over them.
        fakes_per_class: generated images of each class for the scores within a class.
        reals_per_class: real images of a class at most; None takes all there are.
        pairs_per_class: pairs of generated images of a class for MS-SSIM; no image is in two pairs.
    """

    name: str
    source: str
    metrics: tuple[str, ...]
    score_fakes: int = 50_000
    score_splits: int = 10
    score_classes: int | None = None
    fakes: int = 50_000
    reals: int = 50_000
    labels: Labels = "balanced"
    kernel_subsets: int = 100
    kernel_subset_size: int = 1000
    neighbours: int = 3
    density_neighbours: int = 5
    cas_fakes: int = 50_000
    cas_epochs: int = 4
    fakes_per_class: int = 5000
    reals_per_class: int | None = None
    pairs_per_class: int = 100

    @property
    def paired_fakes(self) -> int:
        """Generated images of each class for MS-SSIM: the first of its stream."""
        return 2 * self.pairs_per_class

    def reduced(self, *, fakes: int | None = None, reals: int | None = None) -> "Protocol":
        """Return the protocol with other counts and another name, so that nobody compares its scores with full ones.

        Args:
            fakes: generated images at most, in all and of a class; None keeps the protocol's.
            reals: real images, and real images of a class at most; None keeps the protocol's.
        Returns:
            `NAME(reduced)`; the protocol itself if both are None.
        Raises:
            EvaluationError: if a count is too small to mean anything.
        """
        if fakes is None and reals is None:
            return self
        by_class = all(METRICS[metric].by_class for metric in self.metrics)
        low = MIN_PER_CLASS if by_class else MIN_IMAGES
        for name, count in (("--fakes", fakes), ("--reals", reals)):
            if count is not None and count < low:
                raise EvaluationError(f"{name} {count}: an integer from {low} is allowed under protocol {self.name}")
        most = math.inf if fakes is None else fakes
        per_class = min(most, self.fakes_per_class)
        changed = replace(
            self,
            name=f"{self.name}(reduced)",
            score_fakes=min(max(most, MIN_IMAGES), self.score_fakes),
            fakes=min(max(most, MIN_IMAGES), self.fakes),
            reals=self.reals if reals is None else max(reals, MIN_IMAGES),
            cas_fakes=min(max(most, MIN_IMAGES), self.cas_fakes),
            fakes_per_class=per_class,
            reals_per_class=self.reals_per_class if reals is None else reals,
            pairs_per_class=min(self.pairs_per_class, per_class // 2),
        )
        # Random subsets of more than half of the images would overlap so much that their deviation says nothing.
        return replace(changed, kernel_subset_size=min(self.kernel_subset_size, changed.fakes // 2, changed.reals // 2))


_PROTOCOLS = (
    Protocol(
        name="paper",
        source="Miyato et al. 2018, appendix B.1: IS 10 x 5,000; FID 10,000 real and 5,000 generated; "
        "labels uniform as in evaluation.py of pfnet-research/sngan_projection",
        metrics=("class_score", "frechet"),
        fakes=5_000,
        reals=10_000,
        labels="uniform",
    ),
    Protocol(
        name="bsn",
        source="Lin et al. 2021, appendix H.2: IS 50,000 in 10 splits, over the first 1,000 of the network's 1,008 "
        "classes (gan/metric.py of fjxmlzn/BSN), of logits without their bias as in other protocols, which that file "
        "leaves open; FID 5,000 real and 10,000 generated; its networks take no labels, so a conditional generator's "
        "are uniform",
        metrics=("class_score", "frechet"),
        score_classes=1_000,
        fakes=10_000,
        reals=5_000,
        labels="uniform",
    ),
    Protocol(
        name="report",
        source="Feng et al. 2019, whose text names no counts: README.md and inception_score.py of "
        "COMP6248-Reproducability-Challenge/SNGAN: IS 6,000 in 10 splits, there by torchvision's Inception v3 of 1,000 "
        "classes; FID 50,000 real and 6,000 generated; its networks take no labels",
        metrics=("class_score", "frechet"),
        score_fakes=6_000,
        score_classes=1_000,
        fakes=6_000,
    ),
    Protocol(
        name="50k",
        source="Heusel et al. 2017 as used since: 50,000 generated and 50,000 real; KID of Binkowski et al. 2018; "
        "precision and recall of Kynkaanniemi et al. 2019, on this extractor's features where theirs are VGG-16's",
        metrics=("class_score", "frechet", "kernel", "precision_recall"),
    ),
    Protocol(
        name="intra_class",
        source="Miyato and Koyama 2018, section 4.1: 5,000 generated a class against all real images of the class; "
        "MS-SSIM of Miyato et al. 2018, section 4.2, with the 100 pairs a class of Odena et al. 2017",
        metrics=("intra_frechet", "ms_ssim", "diversity"),
    ),
    Protocol(
        name="quick",
        source="this project: to watch a run, not to report",
        metrics=("class_score", "frechet", "kernel", "precision_recall"),
        score_fakes=1_000,
        score_splits=1,
        fakes=1_000,
        reals=1_000,
        kernel_subsets=20,
        kernel_subset_size=500,
        cas_fakes=1_000,
        cas_epochs=50,
        fakes_per_class=100,
        reals_per_class=100,
        pairs_per_class=50,
    ),
)
PROTOCOLS = {protocol.name: protocol for protocol in _PROTOCOLS}


def protocol_named(name: str) -> Protocol:
    """Return one of PROTOCOLS.

    Raises:
        EvaluationError: if there is none of this name.
    """
    if name not in PROTOCOLS:
        raise EvaluationError(f"--protocol {name!r}: {allowed_names(name, PROTOCOLS)}")
    return PROTOCOLS[name]
