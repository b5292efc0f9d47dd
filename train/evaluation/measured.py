"""The scores: of features by torch-fidelity's own functions, of images within a class by MS-SSIM and diversity."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from sngan_cond.transfer import to_device
from train.data.dataset import PreparedDataset
from train.evaluation.classifier import accuracy, fit_classifier
from train.evaluation.metrics import SPLIT_SEED, Value
from train.evaluation.ms_ssim import ms_ssim_form
from train.evaluation.neighbours import Nearest, density_and_coverage, nearest_reals, precision_and_recall
from train.evaluation.protocols import Protocol

Values = tuple[Value, ...]

NEAREST_REALS = 5  # told and shown of each of the samples closest to them
CLOSEST_SAMPLES = 12


@dataclass(frozen=True)
class Measured:
    """What is known of the images of a group, of which METRICS computes scores.

    On the device of the rows, but for the Frechet and the kernel distance, which torch-fidelity computes by NumPy.

    Args:
        fakes: rows (N, ...) by the names that sources give them, and the `labels` (N,) of a model with classes.
        reals: for a metric that compares, rows (M, ...) of real images, and on the CPU the moments `mu` and `sigma` of
            `features`, and which images of the data set they are, `indices` (M,).
        test: real images that a classifier trained on the fakes is tested on.
        seed: of that classifier.
        progress: show a bar while it is trained.
    """

    protocol: Protocol
    fakes: dict[str, Tensor]
    reals: dict[str, Tensor] = field(default_factory=dict)
    test: PreparedDataset | None = None
    seed: int = 0
    progress: bool = False

    def class_score(self) -> Values:
        """Return exp of the mean KL divergence of p(y|x) from p(y), its mean and deviation over the splits."""
        splits = self.protocol.score_splits
        logits = _wide(self.fakes["logits"])[:, : self.protocol.score_classes]
        found = isc_features_to_metric(logits, splits=splits, shuffle=True, rng_seed=SPLIT_SEED)
        return ((found[KEY_METRIC_ISC_MEAN], found[KEY_METRIC_ISC_STD] if splits > 1 else None),)

    def frechet(self) -> Values:
        """Return the squared Frechet distance between Gaussians with the moments of fakes and of reals."""
        moments = {name: self.reals[name].numpy() for name in ("mu", "sigma")}
        found = fid_statistics_to_metric(
            fid_features_to_statistics(self.fakes["features"].cpu()), moments, verbose=False
        )
        return ((float(found[KEY_METRIC_FID]), None),)

    def kernel(self) -> Values:
        """Return the polynomial-kernel distance of Binkowski et al. 2018, its mean and deviation over the subsets."""
        found = kid_features_to_metric(
            self.fakes["features"],
            self.reals["features"],
            kid_subsets=self.protocol.kernel_subsets,
            kid_subset_size=self.protocol.kernel_subset_size,
            rng_seed=SPLIT_SEED,
            verbose=False,
        )
        return ((found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD]),)

    def precision_recall(self) -> Values:
        """Return precision and recall of Kynkaanniemi et al. 2019."""
        precision, recall = precision_and_recall(
            self.fakes["features"], self.reals["features"], neighbours=self.protocol.neighbours
        )
        return ((precision, None), (recall, None))

    def density_coverage(self) -> Values:
        """Return density and coverage of Naeem et al. 2020."""
        density, coverage = density_and_coverage(
            self.fakes["features"], self.reals["features"], neighbours=self.protocol.density_neighbours
        )
        return ((density, None), (coverage, None))

    @cached_property
    def nearest(self) -> Nearest:
        """The real images that each generated one is nearest to."""
        reals = self.reals["features"]
        return nearest_reals(self.fakes["features"], reals, count=min(NEAREST_REALS, len(reals)))

    def authenticity(self) -> Values:
        """Return the fraction of the images that are no copies of a real one (Alaa et al. 2022), 0 to 1."""
        authentic = self.nearest.authentic
        return ((int(authentic.sum()) / len(authentic), None),)

    def closest(self) -> dict[str, Any]:
        """Return the images closest to a real one, for the distance of that one to others, with their nearest reals."""
        found, labels = self.nearest, self.fakes.get("labels")
        samples = found.ratios.argsort(stable=True)[:CLOSEST_SAMPLES].tolist()
        return {
            "closest": [
                {
                    "sample": sample,
                    "label": None if labels is None else int(labels[sample]),
                    "authentic": bool(found.authentic[sample]),
                    "reals": self.reals["indices"][found.reals[sample].cpu()].tolist(),
                    "distances": found.distances[sample].tolist(),
                    "nearest_real_to_other_reals": float(found.apart[sample]),
                }
                for sample in samples
            ]
        }

    def accuracy(self) -> Values:
        """Return the fraction of the images that are taken for the class they were generated for, 0 to 1."""
        return ((int((self.fakes["classes"] == self.fakes["labels"]).sum()) / len(self.fakes["labels"]), None),)

    def classification_accuracy_score(self) -> Values:
        """Train a classifier on the images with their labels, and return its accuracy on real ones, 0 to 1.

        Top-1, and top-5 where there are more than 5 classes. Source: Ravuri and Vinyals 2019, with a smaller network.
        """
        images, labels, test = self.fakes["images"], self.fakes["labels"], self.test
        assert test is not None  # checked before anything is generated

        def read(indices: Tensor) -> tuple[Tensor, Tensor]:
            chosen = to_device(indices, images.device)
            return images[chosen], labels[chosen]

        classifier = fit_classifier(
            read,
            len(images),
            num_classes=test.num_classes,
            resolution=test.resolution,
            epochs=self.protocol.cas_epochs,
            seed=self.seed,
            device=images.device,
            shown=self.progress,
        )
        return tuple((accuracy(classifier, test, top=top), None) for top in (1, 5) if top < max(test.num_classes, 2))

    def ms_ssim(self) -> Values:
        """Return the mean similarity of the first half of the images with the second, and its deviation over pairs."""
        similarity = ms_ssim(*self.fakes["images"].chunk(2))
        return ((float(similarity.mean()), float(similarity.std())),)

    def diversity(self) -> Values:
        """Return the root mean square distance between two different images.

        All N (N - 1) / 2 pairs in O(N D): the mean of |f - f'|^2 over them is twice the sum of the unbiased variances.
        """
        features = _wide(self.fakes["features"])
        return ((float(torch.sqrt(2 * features.var(dim=0, unbiased=True).sum())), None),)


def _wide(rows: Tensor) -> Tensor:
    """Return rows in float64, on the CPU where their device has none."""
    return (rows.cpu() if rows.device.type == "mps" else rows).double()


def ms_ssim(first: Tensor, second: Tensor) -> Tensor:
    """Return the similarity of each pair of images.

    Args:
        first: (N, 3, R, R) uint8.
        second: (N, 3, R, R) uint8.
    Returns:
        (N,) float32 in [0, 1]; 1 for equal images. Negative terms count as 0.
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure  # only this needs it

    form = ms_ssim_form(first.shape[-1])
    similarity = multiscale_structural_similarity_index_measure(
        first.float(),
        second.float(),
        gaussian_kernel=True,
        sigma=form.sigma_px,
        kernel_size=form.window_px,
        reduction="none",
        data_range=255.0,
        betas=form.weights,
        normalize="relu",
    )
    assert isinstance(similarity, Tensor)
    return similarity
