"""Do our kernels compute what float64 computes, on this device?"""

from collections.abc import Callable
from functools import partial
from typing import get_args

import torch
from torch import Tensor, nn

from benchmarks.gpu.campaign import Campaign, Rows
from benchmarks.job import Job, build_ours
from sngan_cond.config import ConvBackend
from sngan_cond.constraints.spectral import BatchedPowerIterations, spectral_layers
from sngan_cond.constraints.weight_matrices import raw_weight
from sngan_cond.fast import conv_mean_pool2d, same_conv2d, set_backend, upsample_conv2d
from sngan_cond.fast.power_iteration import power_iteration, rows_in_memory
from sngan_cond.networks.layers import ConditionalBatchNorm2d

TITLE = "Kernels against float64"
# Norm of the difference over the norm. float32: sums of up to 10^4 terms, each rounded by 6e-8. bfloat16: 2^-8 a
# rounding; where it turns the sign of what a ReLU sees, about once in 300, a gradient comes or goes: sqrt(1 / 300).
ALLOWED = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
ALLOWED_BEFORE_RELU = {torch.float32: 1e-3, torch.bfloat16: 0.12}
CONVOLUTIONS: dict[str, Callable[..., Tensor]] = {
    "upsample and convolve": upsample_conv2d,
    "convolve and mean-pool": conv_mean_pool2d,
    "convolve": same_conv2d,
}


def run(campaign: Campaign) -> Rows:
    """Compare power iteration, batch norm and every form of the convolutions; ends in an error if any is off."""
    torch.manual_seed(0)
    device = torch.device(campaign.device)
    torch.backends.cudnn.allow_tf32 = False
    found = [("power iterations of D, 128 px", _power_iterations(campaign.job(128)), ALLOWED[torch.float32])]
    for dtype, allowed in ALLOWED.items():
        words = str(dtype).removeprefix("torch.")
        channels = 32 if campaign.narrow else 256
        error = _batch_norm(device, dtype, channels)
        found.append((f"batch norm, gain, ReLU, {words}", error, ALLOWED_BEFORE_RELU[dtype]))
        for name, convolution in CONVOLUTIONS.items():
            for backend in get_args(ConvBackend):
                error = _convolution(partial(convolution, backend=backend), device, dtype, channels, channels + 8)
                found.append((f"{name}, {backend}, {words}", error, allowed))
        padded = partial(same_conv2d, backend="plain", pad_channels=True)
        for c_in, c_out in ((3, channels), (channels, 3)):
            error = _convolution(padded, device, dtype, c_in, c_out)
            found.append((f"convolve, {c_in} to {c_out} channels padded, {words}", error, allowed))
    for name, error, allowed in found:
        yield TITLE, {"kernel": name, "largest error": error, "allowed": allowed}
    off = [name for name, error, allowed in found if not error <= allowed]
    if off:
        raise RuntimeError(f"further from float64 than rounding allows: {', '.join(off)}")


def _power_iterations(job: Job) -> float:
    """Return the largest error of u, v and sigma after one batched iteration of all weights of D."""
    D: nn.Module = build_ours(job, ("channels_last",)).D
    layers = list(spectral_layers(D))
    before = [normalisation.get_buffer("u").double() for _, normalisation in layers]
    BatchedPowerIterations().iterate(D)
    errors = []
    for (layer, normalisation), u in zip(layers, before, strict=True):
        assert normalisation.ready is not None
        exact = power_iteration(rows_in_memory(raw_weight(layer).detach()).double(), u, normalisation.iterations)
        errors += [_error(ours, theirs) for ours, theirs in zip(normalisation.ready[0], exact, strict=True)]
        normalisation.ready = None
    return max(errors)


def _batch_norm(device: torch.device, dtype: torch.dtype, channels: int) -> float:
    """Return the largest error of the output and of the gradients of features, gain and bias."""
    x, y = torch.randn(8, channels, 16, 16, device=device) * 3 + 1, torch.randint(5, (8,), device=device)
    grad = torch.randn_like(x)
    norm = ConditionalBatchNorm2d(channels, 5).to(device)
    nn.init.normal_(norm.gain, 1.0, 0.3)
    nn.init.normal_(norm.bias, 0.0, 0.3)
    exact = ConditionalBatchNorm2d(channels, 5).to(device)
    exact.load_state_dict(norm.state_dict())
    set_backend(exact, "plain")
    results = []
    for module, kind in ((norm, dtype), (exact.double(), torch.float64)):
        # What bfloat16 cannot hold is taken off before, so that both see the same features.
        features = x.to(dtype).to(kind).contiguous(memory_format=torch.channels_last).requires_grad_()
        out = module(features, y, relu=True)
        out.backward(grad.to(dtype).to(out.dtype))
        results.append((out, features.grad, module.gain.grad, module.bias.grad))
    return max(_error(ours, theirs) for ours, theirs in zip(*results, strict=True))


def _convolution(form: partial[Tensor], device: torch.device, dtype: torch.dtype, c_in: int, c_out: int) -> float:
    """Return how far a form's result and its gradients are from the plain one's in float64."""
    given = torch.randn(4, c_in, 16, 16, device=device), torch.randn(c_out, c_in, 3, 3, device=device) / (3 * c_in**0.5)
    results: list[tuple[Tensor, ...]] = []
    for convolve, kind in ((form, dtype), (partial(form.func, backend="plain"), torch.float64)):
        x, weight = (tensor.to(dtype).to(kind, memory_format=torch.channels_last).requires_grad_() for tensor in given)
        y = convolve(x, weight, None)
        grad = torch.linspace(-1, 1, y.numel(), device=device).to(dtype).to(kind).view(y.shape)
        results.append((y, *torch.autograd.grad(y, (x, weight), grad)))
    return max(_error(ours, theirs) for ours, theirs in zip(*results, strict=True))


def _error(ours: Tensor, exact: Tensor) -> float:
    return ((ours.double() - exact).norm() / exact.norm()).item()
