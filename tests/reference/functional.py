"""The official networks once more, straight from snapshot arrays: no modules, no plans, no fast implementations.

A second source for `sngan_cond`: only tensor functions, each step in the order of the official code
(pfnet-research/sngan_projection@e84b1a5), with sizes taken from the arrays.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Arrays = Mapping[str, np.ndarray]
BLOCKS_THAT_HALVE = {4: 2, 5: 5, 6: 5, 7: 6}  # number of blocks to how many of them halve, dis_models/snresnet*.py


def _get(arrays: Arrays, key: str) -> Tensor:
    return torch.from_numpy(np.asarray(arrays[key]))


def _norm(arrays: Arrays, path: str, h: Tensor, y: Tensor | None, *, train: bool) -> Tensor:
    if train:
        mean, var = h.mean(dim=(0, 2, 3)), h.var(dim=(0, 2, 3), unbiased=False)
    else:
        mean, var = _get(arrays, f"{path}/avg_mean"), _get(arrays, f"{path}/avg_var")
    h = (h - mean[:, None, None]) / torch.sqrt(var[:, None, None] + 2e-5)
    if f"{path}/gamma" in arrays:
        gain, bias = _get(arrays, f"{path}/gamma")[None], _get(arrays, f"{path}/beta")[None]
    else:
        assert y is not None
        gain, bias = _get(arrays, f"{path}/gammas/W")[y], _get(arrays, f"{path}/betas/W")[y]
    return h * gain[:, :, None, None] + bias[:, :, None, None]


def _upsample(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def _conv(arrays: Arrays, path: str, x: Tensor) -> Tensor:
    weight = _get(arrays, f"{path}/W")
    return F.conv2d(x, weight, _get(arrays, f"{path}/b"), padding=weight.shape[-1] // 2)


def generator(arrays: Arrays, z: Tensor, y: Tensor | None, *, train: bool = False) -> Tensor:
    """Map latents and labels to images (N, 3, R, R)."""
    h = F.linear(z, _get(arrays, "l1/W"), _get(arrays, "l1/b")).reshape(len(z), -1, 4, 4)
    last = max(int(key[5]) for key in arrays if key.startswith("block"))
    for i in range(2, last + 1):
        block = f"block{i}"
        r = _upsample(F.relu(_norm(arrays, f"{block}/b1", h, y, train=train)))
        r = F.relu(_norm(arrays, f"{block}/b2", _conv(arrays, f"{block}/c1", r), y, train=train))
        h = _conv(arrays, f"{block}/c2", r) + _conv(arrays, f"{block}/c_sc", _upsample(h))
    h = F.relu(_norm(arrays, f"b{last + 1}", h, None, train=train))
    return torch.tanh(_conv(arrays, f"{'c' if last == 4 else 'l'}{last + 1}", h))


def _spectrally_normalised(arrays: Arrays, path: str) -> Tensor:
    weight, u = _get(arrays, f"{path}/W"), _get(arrays, f"{path}/u")
    matrix = weight.reshape(len(weight), -1)
    v = u @ matrix
    v = v / (v.square().sum().sqrt() + 1e-12)
    u = v @ matrix.T
    u = u / (u.square().sum().sqrt() + 1e-12)
    return weight / (u @ matrix @ v.T).squeeze()


def _sn_conv(arrays: Arrays, path: str, x: Tensor) -> Tensor:
    weight = _spectrally_normalised(arrays, path)
    return F.conv2d(x, weight, _get(arrays, f"{path}/b"), padding=weight.shape[-1] // 2)


def discriminator(arrays: Arrays, x: Tensor, y: Tensor | None) -> Tensor:
    """Map images and labels to scores (N, 1), after one round of power iteration from the stored u."""
    last = max(int(key[5]) for key in arrays if key.startswith("block"))
    h = x
    concatenates = False
    for i in range(1, last + 1):
        block = f"block{i}"
        if i == 4 and arrays["block4/c1/W"].shape[1] > h.shape[1]:
            concatenates = True
            assert y is not None
            planes = _spectrally_normalised(arrays, "l_y")[y][:, :, None, None]
            h = torch.cat([h, planes.expand(-1, -1, h.shape[2], h.shape[3])], dim=1)
        halves = i <= BLOCKS_THAT_HALVE[last]
        r = h if i == 1 else F.relu(h)
        r = _sn_conv(arrays, f"{block}/c2", F.relu(_sn_conv(arrays, f"{block}/c1", r)))
        if i == 1:
            skip = _sn_conv(arrays, f"{block}/c_sc", F.avg_pool2d(h, 2))
        elif f"{block}/c_sc/W" in arrays:
            skip = _sn_conv(arrays, f"{block}/c_sc", h)
            skip = F.avg_pool2d(skip, 2) if halves else skip
        else:
            skip = h
        h = (F.avg_pool2d(r, 2) if halves else r) + skip
    features = F.relu(h).sum(dim=(2, 3))
    score = features @ _spectrally_normalised(arrays, f"l{last + 1}").T
    if f"l{last + 1}/b" in arrays:
        score = score + _get(arrays, f"l{last + 1}/b")
    if y is not None and "l_y/W" in arrays and not concatenates:
        score = score + (_spectrally_normalised(arrays, "l_y")[y] * features).sum(dim=1, keepdim=True)
    return score
