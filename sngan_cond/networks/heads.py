"""The discriminator's heads: its score, and where the label enters."""

from typing import NamedTuple

import torch
from torch import Tensor, fx, nn

from sngan_cond.config import DiscriminatorConfig
from sngan_cond.networks.layers import init_glorot_, laid_out_like

fx.wrap("laid_out_like")  # to `torch.fx.symbolic_trace` one operation


class DiscriminatorOutput(NamedTuple):
    """A discriminator's verdict on images.

    Args:
        score: (N,) real-valued, higher for images taken to be real.
        class_logits: (N, K) of the auxiliary classifier, else None.
    """

    score: Tensor
    class_logits: Tensor | None = None


class Head(nn.Module):
    """Linear score of the features, plus what the label adds.

    The projection adds <embed(y), features> to the score (Miyato and Koyama 2018, equation 3); the auxiliary classifier
    adds class logits beside it (Odena et al. 2017); the unconditional and the concat head add nothing here.

    Args:
        features: length C of the feature vector.
        bias: whether the score layer has one.
    """

    def __init__(self, config: DiscriminatorConfig, *, features: int, bias: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1, bias=bias)
        init_glorot_(self.linear)
        self.embed = nn.Embedding(config.num_classes, features) if config.head == "projection" else None
        self.classifier = nn.Linear(features, config.num_classes) if config.head == "auxiliary_classifier" else None
        for layer in (self.embed, self.classifier):
            if layer is not None:
                init_glorot_(layer)

    def forward(self, features: Tensor, y: Tensor | None) -> DiscriminatorOutput:
        """Map features (N, C) and labels (N,) to a score and, perhaps, class logits.

        Without labels the projection adds nothing, as in the official code.
        """
        score = self.linear(features).squeeze(1)  # (N,)
        if self.embed is not None and y is not None:
            score = score + (self.embed(y) * features).sum(dim=1)
        logits = None if self.classifier is None else self.classifier(features)
        return DiscriminatorOutput(score, logits)


class LabelPlanes(nn.Module):
    """Embedding of the label, repeated over space and concatenated to a feature map (concat head).

    Source: Miyato et al. 2018, Table 6c; dis_models/snresnet.py of pfnet-research/sngan_projection.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.num_classes, config.embed_dim)
        init_glorot_(self.embed)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Map (N, C, H, W) and labels (N,) to (N, C + embed_dim, H, W).

        Raises:
            ValueError: if there are no labels.
        """
        if y is None:
            raise ValueError("y=None: a discriminator with the concat head needs labels (N,)")
        # In the features' type: planes in float32 would promote features in bfloat16, and all that reads them.
        planes = self.embed(y).to(x.dtype)[:, :, None, None]
        planes = planes.expand(-1, -1, x.shape[2], x.shape[3])  # (N, embed_dim, H, W)
        return torch.cat([x, laid_out_like(x, planes)], dim=1)
