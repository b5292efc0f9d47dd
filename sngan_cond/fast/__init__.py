"""Fast forms of the layers: the same maps with fewer multiplications, behind the layers' own names.

The plain forms stand in `sngan_cond.resampling`; `sngan_cond.fast.forms` says which form runs where.
"""

from sngan_cond.fast.forms import Form, conv_mean_pool2d, same_conv2d, set_form, upsample_conv2d

__all__ = ["Form", "conv_mean_pool2d", "same_conv2d", "set_form", "upsample_conv2d"]
