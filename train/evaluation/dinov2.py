"""DINOv2 from a file of weights: torch-fidelity's own extractor of it takes them, and code, from the network alone."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from train.errors import EvaluationError, need_package
from train.evaluation.names import DINOV2, DINOV2_SMALL
from train.evaluation.weights import find_weights, read_tensors

DINOV2_SIDE_PX = 224
_TIMM_NAMES = {DINOV2: "vit_large_patch14_dinov2", DINOV2_SMALL: "vit_small_patch14_dinov2"}
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as it was trained with
_OFFSET = 0.1  # patches: what facebookresearch/dinov2 adds to the side that its position embeddings are scaled to


class DinoV2(FeatureExtractorBase):
    """A vision transformer with patches of 14 px; its normalised class token, 1024 numbers (ViT-L) or 384 (ViT-S).

    Images are resized as in dgm-eval, the code of Stein et al. 2023, where torch-fidelity's `dinov2-vit-l-14` resizes
    bilinearly. Source: Oquab et al. 2023; facebookresearch/dinov2, whose files of weights it reads.

    Args:
        name: DINOV2 or DINOV2_SMALL.
        features_list: "class_token".
        feature_extractor_weights_path: None looks in torch hub's cache.
    """

    def __init__(
        self,
        name: str,
        features_list: Sequence[str],
        feature_extractor_weights_path: str | None = None,
        **kwargs: object,  # torch-fidelity passes every option of its command to every extractor
    ) -> None:
        super().__init__(name, list(features_list))
        need_package("timm", extra="eval", wanted=f"--extractor {name}", error=EvaluationError)
        import timm  # here: only this network and the stand-in need it

        with torch.device("meta"):  # all weights come from the file; drawing 300 million first takes a while
            network = timm.create_model(_TIMM_NAMES[name], pretrained=False, num_classes=0, img_size=DINOV2_SIDE_PX)
        self.network = network
        state = read_tensors(Path(feature_extractor_weights_path or find_weights(name, None).path))
        state.pop("mask_token", None)  # of training alone
        if "pos_embed" in state:  # where it is missing, load_state_dict says so
            state["pos_embed"] = resized_positions(state["pos_embed"], DINOV2_SIDE_PX // 14)
        self.network.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
        for part, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
            self.register_buffer(part, 255 * torch.tensor(values).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return (N, D) of (N, 3, R, R) uint8 images."""
        return (self.network((resized_images(images) - self.mean) / self.deviation),)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """List the features to choose from."""
        return ("class_token",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:  # noqa: ARG004  # torch-fidelity's signature
        """Return the only layer."""
        return "class_token"


def resized_images(images: Tensor) -> Tensor:
    """Resize as Pillow does: along rows, then along columns, each time to whole numbers of 8 bits.

    Args:
        images: (N, 3, H, W) uint8.
    Returns:
        (N, 3, 224, 224) float32 of whole numbers in [0, 255].
    """
    x = images.float()
    for side in ((x.shape[-2], DINOV2_SIDE_PX), (DINOV2_SIDE_PX, DINOV2_SIDE_PX)):
        if x.shape[-2:] != side:
            x = F.interpolate(x, size=side, mode="bicubic", align_corners=False, antialias=True).round().clamp(0, 255)
    return x


def resized_positions(embedding: Tensor, side: int) -> Tensor:
    """Scale the embeddings of a square of patches to another number of them, as DINOv2 does for images of another size.

    Args:
        embedding: (1, 1 + S S, D), the class token's first.
        side: patches along a side.
    Returns:
        (1, 1 + side side, D).
    Raises:
        RuntimeError: if the patches are no square.
    """
    token, patches = embedding[:, :1], embedding[:, 1:]
    before = round(patches.shape[1] ** 0.5)
    square = patches.unflatten(1, (before, before)).permute(0, 3, 1, 2)
    if before != side:
        square = F.interpolate(square, scale_factor=(side + _OFFSET) / before, mode="bicubic", align_corners=False)
    return torch.cat([token, square.flatten(2).transpose(1, 2)], dim=1)
