"""How a constraint draws weights at the start of a run, and what it does to them after an update; biases stay."""

import torch
from torch import Tensor, nn

from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.constraints.weight_matrices import normalised_layers, output_axis, raw_matrix, raw_weight

# Beside the network's own buffers, so that a resumed run clips at the same steps.
CLIPPING_COUNT = "updates_since_clipping"


@torch.no_grad()
def initialise(network: nn.Module, config: ConstraintConfig) -> None:
    """Draw every weight anew.

    "orthonormal": orthonormal rows, or columns where there are fewer (Miyato et al. 2018, section 4.1; Brock et al.
    2016). "lecun": N(0, 1 / columns) (LeCun et al. 1998; Lin et al. 2021, section 4).
    """
    for _, layer in normalised_layers(network, config.exclude):
        matrix = torch.empty_like(raw_matrix(layer))
        if config.init == "orthonormal":
            nn.init.orthogonal_(matrix, gain=config.init_scale)
        else:
            nn.init.normal_(matrix, std=config.init_scale / matrix.shape[1] ** 0.5)
        view = raw_weight(layer).movedim(output_axis(layer), 0)
        view.copy_(matrix.reshape(view.shape))


@torch.no_grad()
def clip_weights(D: nn.Module, config: ConstraintConfig) -> None:
    """Clip every weight to [-c, c].

    Arjovsky et al. 2017 clip every parameter; Miyato et al. 2018, section 4.1, write "the convolutional weight of each
    layer". Here it is the weight of every layer, the last linear one included, since one free layer would leave the
    Lipschitz constant free.
    """
    weights: list[Tensor] = [raw_weight(layer) for _, layer in normalised_layers(D, config.exclude)]
    torch._foreach_clamp_min_(weights, -config.weight_clip)
    torch._foreach_clamp_max_(weights, config.weight_clip)


def count_updates(D: nn.Module, _config: ConstraintConfig) -> None:
    """Register the count of updates between clippings of the singular values."""
    D.register_buffer(CLIPPING_COUNT, torch.zeros((), dtype=torch.int64))


@torch.no_grad()
def clip_singular_values(D: nn.Module, config: ConstraintConfig) -> None:
    """Count the update, and at every so many-th clip every weight matrix's singular values.

    Source: Miyato et al. 2018, appendix D.3; Saito et al. 2017, section 4.2, who clip to 1 every 5 updates.
    """
    count = D.get_buffer(CLIPPING_COUNT)
    count += 1
    if int(count) < config.singular_clip_every:
        return
    count.zero_()
    for _, layer in normalised_layers(D, config.exclude):
        view = raw_weight(layer).movedim(output_axis(layer), 0)  # a view, so that copy_ writes into the weight
        U, S, Vh = torch.linalg.svd(view.flatten(1), full_matrices=False)
        view.copy_(((U * S.clamp(max=config.singular_clip)) @ Vh).reshape(view.shape))
