"""Random snapshots of any official architecture, laid out by hand from the official constructors."""

import itertools
from pathlib import Path

import numpy as np

# gen_models/resnet*.py and dis_models/snresnet*.py of pfnet-research/sngan_projection@e84b1a5, as multiples of ch.
G_WIDTHS = {32: (1, 1, 1, 1), 64: (16, 8, 4, 2, 1), 128: (16, 16, 8, 4, 2, 1), 256: (16, 16, 8, 8, 4, 2, 1)}
D_WIDTHS = {32: (1, 1, 1, 1), 64: (1, 2, 4, 8, 16), 128: (1, 2, 4, 8, 16, 16), 256: (1, 2, 4, 8, 8, 16, 16)}
D_HALVES = {32: 2, 64: 5, 128: 5, 256: 6}

Arrays = dict[str, np.ndarray]


class _Draw:
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.arrays: Arrays = {}

    def normal(self, key: str, *shape: int, mean: float = 0.0) -> None:
        fan_in = max(1, int(np.prod(shape[1:])))
        self.arrays[key] = (mean + self.rng.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32)

    def positive(self, key: str, *shape: int) -> None:
        self.arrays[key] = self.rng.uniform(0.5, 2, size=shape).astype(np.float32)

    def conv(self, path: str, c_in: int, c_out: int, k: int, *, u: bool = False) -> None:
        self.normal(f"{path}/W", c_out, c_in, k, k)
        self.normal(f"{path}/b", c_out)
        if u:
            self.normal(f"{path}/u", 1, c_out)

    def norm(self, path: str, channels: int, classes: int) -> None:
        self.normal(f"{path}/avg_mean", channels)
        self.positive(f"{path}/avg_var", channels)
        self.arrays[f"{path}/N"] = np.array(0)
        if classes:
            self.normal(f"{path}/gammas/W", classes, channels, mean=1)
            self.normal(f"{path}/betas/W", classes, channels)
        else:
            self.positive(f"{path}/gamma", channels)
            self.normal(f"{path}/beta", channels)


def generator_arrays(side: int, *, ch: int, dim_z: int, classes: int, seed: int = 0) -> Arrays:
    """Draw the arrays of an official generator."""
    draw, widths = _Draw(seed), [ch * width for width in G_WIDTHS[side]]
    draw.normal("l1/W", 16 * widths[0], dim_z)
    draw.normal("l1/b", 16 * widths[0])
    for i, (c_in, c_out) in enumerate(itertools.pairwise(widths), start=2):
        draw.norm(f"block{i}/b1", c_in, classes)
        draw.conv(f"block{i}/c1", c_in, c_out, 3)
        draw.norm(f"block{i}/b2", c_out, classes)
        draw.conv(f"block{i}/c2", c_out, c_out, 3)
        draw.conv(f"block{i}/c_sc", c_in, c_out, 1)
    last = {32: 5, 64: 6, 128: 7, 256: 8}[side]
    draw.norm(f"b{last}", ch, 0)
    draw.conv(f"c{last}" if side == 32 else f"l{last}", ch, 3, 3)
    return draw.arrays


def discriminator_arrays(side: int, *, ch: int, classes: int = 0, dim_emb: int = 0, seed: int = 0) -> Arrays:
    """Draw the arrays of an official discriminator; dim_emb > 0 gives it the concat head."""
    draw, widths = _Draw(seed), [3, *(ch * width for width in D_WIDTHS[side])]
    for i, (c_in, c_out) in enumerate(itertools.pairwise(widths), start=1):
        c_in += dim_emb if i == 4 else 0
        hidden = c_out if i == 1 else c_in
        draw.conv(f"block{i}/c1", c_in, hidden, 3, u=True)
        draw.conv(f"block{i}/c2", hidden, c_out, 3, u=True)
        if i <= D_HALVES[side] or c_in != c_out:
            draw.conv(f"block{i}/c_sc", c_in, c_out, 1, u=True)
    last = {32: 5, 64: 6, 128: 7, 256: 8}[side]
    draw.normal(f"l{last}/W", 1, widths[-1])
    draw.normal(f"l{last}/u", 1, 1)
    if side != 32:
        draw.normal(f"l{last}/b", 1)
    if classes:
        draw.normal("l_y/W", classes, dim_emb or widths[-1])
        draw.normal("l_y/u", 1, classes)
    return draw.arrays


def save(path: Path, arrays: Arrays) -> Path:
    """Write arrays as Chainer's `save_npz` does, and return the path."""
    np.savez_compressed(path, **arrays)
    return path
