"""Convolutions in fewer multiplications, and batch and spectral normalisation in fewer passes over memory.

`dispatch` chooses a convolution's backend: plain, pointwise and strided ones are in `resampling`, the minimal ones in
`winograd` (PyTorch) and `gemm_conv` (native kernels).
"""

from sngan_cond.fast.dispatch import conv_mean_pool2d, same_conv2d, set_backend, upsample_conv2d

__all__ = ["conv_mean_pool2d", "same_conv2d", "set_backend", "upsample_conv2d"]
