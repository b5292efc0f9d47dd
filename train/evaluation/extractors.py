"""Declared feature extractors, registered with torch-fidelity, and the names their scores may carry."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY
from torch_fidelity.utils import create_feature_extractor

from sngan_cond.validation import allowed_names
from train.errors import EvaluationError
from train.evaluation.dinov2 import DINOV2_SIDE_PX, DinoV2
from train.evaluation.fallback_extractors import FALLBACK_SIDE_PX, EfficientNetLite0, Identity
from train.evaluation.names import DINOV2, DINOV2_SMALL, EXTRACTORS, FALLBACK, IDENTITY, INCEPTION, VGG16
from train.evaluation.weights import find_weights, read_tensors


@dataclass(frozen=True)
class Extractor:
    """A feature extractor ready for use, and what may be said about its scores.

    Args:
        name: as written beside every score.
        sha256: of its weights' file; of the empty string for an extractor without weights.
        module: uint8 images (N, 3, R, R) to a tuple of features (N, D), in eval mode.
        layer: name of the features for distances, precision, recall and diversity.
        score_layer: name of the logits for the class score; None for a network that gives none.
        resize: what happens to images before the network, in words.
        is_published: whether it is a network, with the weights, behind published scores.
    """

    name: str
    sha256: str
    module: FeatureExtractorBase
    layer: str
    score_layer: str | None
    resize: str
    is_published: bool
    device: torch.device

    def read(self, images: Tensor) -> dict[str, Tensor]:
        """Return (n, D) `features` of `layer` and, where there is one, (n, K) `logits` of `score_layer`."""
        layers = self.module.convert_features_tuple_to_dict(self.module(images))
        logits = {} if self.score_layer is None else {"logits": layers[self.score_layer]}
        return {"features": layers[self.layer], **logits}

    @torch.no_grad()
    def width(self, side_px: int) -> int:
        """Return D, the number of features of an image, which of pixels depends on its side."""
        image = torch.zeros(1, 3, side_px, side_px, dtype=torch.uint8, device=self.device)
        return self.read(image)["features"].shape[1]


FEATURE_EXTRACTORS_REGISTRY.update(
    {DINOV2: DinoV2, DINOV2_SMALL: DinoV2, FALLBACK: EfficientNetLite0, IDENTITY: Identity}
)
# No published score was measured with their weights: Kynkaanniemi et al. 2019 took another file of VGG-16's.
_NEVER_PUBLISHED = (VGG16, FALLBACK, IDENTITY)
_WITHOUT_LOGITS = (VGG16, DINOV2, DINOV2_SMALL)
_BICUBIC = f"bicubic with antialiasing, rows and columns in turn, each rounded to 8 bits, to {DINOV2_SIDE_PX} px"
_RESIZE = {
    INCEPTION: "bilinear as in TensorFlow 1.x, to 299 px",
    VGG16: "bilinear as in TensorFlow 1.x, to 224 px",
    DINOV2: _BICUBIC,
    DINOV2_SMALL: _BICUBIC,
    FALLBACK: f"bilinear with antialiasing, to {FALLBACK_SIDE_PX} px",
    IDENTITY: "none",
}


def load_extractor(
    name: str,
    *,
    weights: str | Path | None = None,
    weights_sha256: str | None = None,
    device: torch.device | str = "cpu",
) -> Extractor:
    """Load an extractor from weights that are checked first.

    Weights other than the published ones give the extractor, and all its scores, another name.

    Args:
        name: one of EXTRACTORS.
        weights: None looks where they belong; nothing is downloaded.
        weights_sha256: refuse weights of any other checksum.
    Raises:
        EvaluationError: if there is no such extractor, or its weights are missing or not what they should be.
    """
    if name not in EXTRACTORS:
        raise EvaluationError(f"--extractor {name!r}: {allowed_names(name, EXTRACTORS)}")
    if name == IDENTITY:
        for flag, value in (("weights", weights), ("weights-sha256", weights_sha256)):
            if value is not None:
                raise EvaluationError(f"--{flag} {value}: the {IDENTITY} extractor takes none")
        path, sha256, own_name = None, hashlib.sha256(b"").hexdigest(), name
    else:
        file = find_weights(name, weights, expected_sha256=weights_sha256)
        path, sha256 = file.path, file.sha256
        own_name = name if file.is_published else f"{name}(unpublished weights)"
    registered = FEATURE_EXTRACTORS_REGISTRY[name]
    layer, score_layer = (registered.get_default_feature_layer_for_metric(metric) for metric in ("fid", "isc"))
    module = _build(name, list(dict.fromkeys((layer, score_layer))), path).to(device)
    if torch.device(device).type == "cpu":
        module = module.to(memory_format=torch.channels_last)  # equal to 1e-6, up to twice as fast
    return Extractor(
        name=own_name,
        sha256=sha256,
        module=module,
        layer=layer,
        score_layer=None if name in _WITHOUT_LOGITS else score_layer,
        resize=_RESIZE[name],
        is_published=own_name == name and name not in _NEVER_PUBLISHED,
        device=torch.device(device),
    )


def _build(name: str, layers: list[str], weights: Path | None) -> FeatureExtractorBase:
    options = {}
    if weights is not None:
        # torch-fidelity would run whatever code a pickle holds: a file reaches it only after this restricted reading.
        read_tensors(weights)
        options = {"feature_extractor_weights_path": str(weights)}
    with torch.random.fork_rng(devices=[]):  # new layers are initialised from the global rng
        try:
            return create_feature_extractor(name, layers, cuda=False, verbose=False, **options)
        except (RuntimeError, IndexError) as error:
            raise EvaluationError(f"--weights {weights}: does not fit {name} ({str(error)[:200]!r})") from error
