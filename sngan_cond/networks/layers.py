"""The layers of both networks; their fast implementations are in `sngan_cond.fast`."""

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from sngan_cond.config import BATCH_NORM_EPS, BATCH_NORM_MOMENTUM, ConvBackend, Switch
from sngan_cond.fast import conv_mean_pool2d, same_conv2d, upsample_conv2d
from sngan_cond.fast.batch_norm import batch_norm_relu, runs_fused

_STD = 0.02  # of the standard CNNs' weights at first

# To `torch.fx.symbolic_trace` these are one operation each: what they choose depends on shapes, which it does not know.
for _name in ("conv_mean_pool2d", "same_conv2d", "upsample_conv2d", "laid_out_like", "_rows_of_classes"):
    fx.wrap(_name)


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with one gain and bias per channel, called like the conditional one."""

    backend: ConvBackend = "auto"

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)

    def _check_input_dim(self, input: Tensor) -> None:
        """Leave out PyTorch's check, which `torch.fx.symbolic_trace` cannot see through; features have four axes."""

    def forward(self, input: Tensor, y: Tensor | None = None, *, relu: bool = False) -> Tensor:
        """Normalise features (N, C, H, W) over batch and space; `input` is PyTorch's name.

        Args:
            y: ignored, so that both kinds are called alike.
            relu: apply a ReLU afterwards, in the same pass where a native kernel runs.
        """
        gain, bias = self.weight[None], self.bias[None]  # (1, C), one row for all images
        if relu and runs_fused(input, self, gain, bias, self.backend):
            return batch_norm_relu(input, self, gain, bias)
        h = super().forward(input)
        return F.relu(h) if relu else h


class ConditionalBatchNorm2d(nn.Module):
    """Batch normalisation with a gain and a bias per class and channel, which class weights blend.

    Source: Dumoulin et al. 2017; source/links/conditional_batch_normalization.py of pfnet-research/sngan_projection.
    """

    backend: ConvBackend = "auto"

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM, affine=False)
        assert self.norm.running_var is not None
        self.norm.running_var.zero_()  # as in the official code; PyTorch starts at 1
        self.gain = nn.Parameter(torch.ones(num_classes, channels))
        self.bias = nn.Parameter(torch.zeros(num_classes, channels))

    def forward(self, x: Tensor, y: Tensor, *, relu: bool = False) -> Tensor:
        """Normalise over batch and space, then scale and shift by class.

        Args:
            x: (N, C, H, W) features.
            y: (N,) int64 labels, or (N, K) float class weights.
            relu: as for `BatchNorm2d`.
        """
        gain, bias = self.affine(y)
        # ReLU is an argument and the choice is made in here, so that a block always calls this module: hooks, profilers
        # and subclasses see it whichever kernel runs.
        if relu and runs_fused(x, self.norm, gain, bias, self.backend):
            return batch_norm_relu(x, self.norm, gain, bias)
        h: Tensor = self.norm(x)
        # Rounded to the features' type: float32 gains would promote features in bfloat16 to float32, with them all that
        # follows, and twice the memory traffic.
        gain, bias = gain.to(h.dtype), bias.to(h.dtype)
        h = h * gain[:, :, None, None] + bias[:, :, None, None]
        return F.relu(h) if relu else h

    def affine(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return gain and bias of each image, both (N, C), from labels or class weights."""
        return _rows_of_classes(self.gain, y), _rows_of_classes(self.bias, y)


def _rows_of_classes(table: Tensor, y: Tensor) -> Tensor:
    """Look up rows (N, C) in a table (K, C) by labels (N,), or blend them by class weights (N, K)."""
    return y.to(table.dtype) @ table if y.is_floating_point() else F.embedding(y, table)


def batch_norm(channels: int, num_classes: int) -> BatchNorm2d | ConditionalBatchNorm2d:
    """Return the generator's batch normalisation: conditional if there are classes."""
    return ConditionalBatchNorm2d(channels, num_classes) if num_classes else BatchNorm2d(channels)


class NoNorm(nn.Module):
    """Takes the place of a batch normalisation that is left out, and is called like one."""

    def forward(self, x: Tensor, y: Tensor | None = None, *, relu: bool = False) -> Tensor:
        """Return the features (N, C, H, W), cut below 0 if asked for."""
        return F.relu(x) if relu else x


class SameConv2d(nn.Conv2d):
    """A convolution with same padding, of kernel size 3, or 1 for a skip."""

    backend: ConvBackend = "auto"
    pad_channels: Switch = "auto"
    upsamples = False  # whether the layer resamples too, for its spectral norm as an operator
    pools = False

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H, W)."""
        return same_conv2d(input, self.weight, self.bias, self.backend, self.pad_channels)


class UpsampleConv2d(SameConv2d):
    """Nearest-neighbour upsampling by 2, then a convolution with same padding."""

    upsamples = True

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, 2H, 2W)."""
        return upsample_conv2d(input, self.weight, self.bias, self.backend)


class ConvMeanPool2d(SameConv2d):
    """A convolution with same padding, then 2x2 mean pooling."""

    pools = True

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C_in, 2H, 2W) to (N, C_out, H, W)."""
        return conv_mean_pool2d(input, self.weight, self.bias, self.backend, self.pad_channels)


def feature_map(x: Tensor, side: int, following: nn.Module) -> Tensor:
    """See the rows of a linear layer, (N, C side^2), as features (N, C, side, side).

    Args:
        side: in pixels.
        following: a module with convolutions that they go to; the layout is that of its weights.
    """
    # The batch is what is left open: tools that record one batch's sizes then run with others.
    features = x.reshape(-1, x.shape[1] // side**2, side, side)
    for stored in following.parameters():  # and not a layer's weight, which a constraint would compute
        if stored.ndim == 4:
            return laid_out_like(stored, features)
    return features


def laid_out_like(other: Tensor, x: Tensor) -> Tensor:
    """Return features (N, C, H, W), on a GPU channels-last in memory if `other` is.

    There every layer keeps the layout that it is given, and convolutions copy what is in another. On a CPU they take
    either.
    """
    is_channels_last = other.is_contiguous(memory_format=torch.channels_last) and not other.is_contiguous()
    if x.device.type == "cpu" or not is_channels_last:
        return x
    return x.contiguous(memory_format=torch.channels_last)


def init_glorot_(layer: nn.Conv2d | nn.Linear | nn.Embedding, gain: float = 1.0) -> None:
    """Draw a layer's weight from the Glorot uniform distribution and set its bias, if any, to 0.

    Source: gen_models/resblocks.py and dis_models/resblocks.py of pfnet-research/sngan_projection.

    Args:
        layer: changed in place.
        gain: factor on the standard deviation; sqrt(2) on the two 3x3 convolutions of a residual block.
    """
    nn.init.xavier_uniform_(layer.weight, gain=gain)
    _zero_bias(layer)


def init_normal_(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding, *, truncated: bool = False) -> None:
    """Draw a layer's weight from N(0, 0.02^2) and set its bias, if any, to 0, in place.

    Source: common/net.py of pfnet-research/chainer-gan-lib (the standard CNNs).

    Args:
        truncated: leave out what is more than two deviations from 0, as in gan/op.py of fjxmlzn/BSN.
    """
    if truncated:
        nn.init.trunc_normal_(layer.weight, std=_STD, a=-2 * _STD, b=2 * _STD)
    else:
        nn.init.normal_(layer.weight, std=_STD)
    _zero_bias(layer)


def _zero_bias(layer: nn.Module) -> None:
    bias = getattr(layer, "bias", None)  # an embedding has none
    if bias is not None:
        nn.init.zeros_(bias)
