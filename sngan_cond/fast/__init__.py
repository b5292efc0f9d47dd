"""Convolutions in fewer multiplications, and batch and spectral normalisation in fewer passes over memory.

`dispatch` chooses which backend of a convolution runs; `resampling` holds the plain ones.
"""

from sngan_cond.fast.dispatch import conv_mean_pool2d, same_conv2d, set_backend, upsample_conv2d

__all__ = ["conv_mean_pool2d", "same_conv2d", "set_backend", "upsample_conv2d"]
