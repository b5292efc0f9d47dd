"""The layers' convolutions and normalisation in fewer multiplications and passes, behind the layers' own names.

`dispatch` says which implementation runs where; `resampling` holds the plain ones.
"""

from sngan_cond.fast.dispatch import conv_mean_pool2d, same_conv2d, set_backend, upsample_conv2d

__all__ = ["conv_mean_pool2d", "same_conv2d", "set_backend", "upsample_conv2d"]
