"""Extractors for where Inception's weights are not at hand, as torch-fidelity registers them."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from train.errors import EvaluationError, need_package
from train.evaluation.names import FALLBACK
from train.evaluation.weights import find_weights, read_tensors

FALLBACK_SIDE_PX = 224


class EfficientNetLite0(FeatureExtractorBase):
    """The declared stand-in: an ImageNet-1k classifier at 224 px, its 1280 pooled features and its 1000 logits.

    Args:
        features_list: any of "1280" and "logits".
        feature_extractor_weights_path: None takes the weights of the installed package.
    """

    def __init__(
        self,
        name: str,
        features_list: Sequence[str],
        feature_extractor_weights_path: str | None = None,
        **kwargs: object,  # torch-fidelity passes every option of its command to every extractor
    ) -> None:
        super().__init__(name, list(features_list))
        need_package("timm", extra="eval", wanted=f"--extractor {FALLBACK}", error=EvaluationError)
        import timm  # here: only this network needs it

        weights = find_weights(FALLBACK, feature_extractor_weights_path)
        self.network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        names, tensors = list(self.network.state_dict()), list(read_tensors(weights.path).values())
        if len(names) != len(tensors):
            raise EvaluationError(f"--weights {weights.path}: {len(tensors)} tensors, allowed are {len(names)}")
        # The package names its layers differently from timm, but has them in the same order.
        self.network.load_state_dict(dict(zip(names, tensors, strict=True)))
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the requested features of (N, 3, R, R) uint8 images."""
        x = images.float()
        side = (FALLBACK_SIDE_PX, FALLBACK_SIDE_PX)
        if x.shape[-2:] != side:
            x = F.interpolate(x, size=side, mode="bilinear", align_corners=False, antialias=True)
        x = (x - 127) / 128  # as these weights were trained, not with ImageNet's mean and deviation
        pooled = self.network.forward_head(self.network.forward_features(x), pre_logits=True)
        features = {"1280": pooled, "logits": self.network.classifier(pooled)}
        return tuple(features[name] for name in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """List the features to choose from."""
        return "1280", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """Return the layer torch-fidelity takes for one of its metrics."""
        return "logits" if metric == "isc" else "1280"


class Identity(FeatureExtractorBase):
    """Features are the pixels themselves, for tests of everything around the network."""

    def __init__(self, name: str, features_list: Sequence[str], **kwargs: object) -> None:
        super().__init__(name, list(features_list))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return (N, 3RR) float32."""
        return (images.flatten(1).float(),)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """List the features to choose from."""
        return ("pixels",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:  # noqa: ARG004  # torch-fidelity's signature
        """Return the only layer."""
        return "pixels"
