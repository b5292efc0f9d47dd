"""The official Chainer code's snapshots (pfnet-research/sngan_projection) as networks of this package.

A snapshot is an `.npz` of arrays under paths like "block2/c1/W". It holds no configuration: the sizes, the head and the
number of classes are read off the arrays' headers. Nothing is unpickled, and a file that does not fit is refused whole,
before its values are read.
"""

import contextlib
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from sngan_cond.classes import imagenet_classes
from sngan_cond.config import DiscriminatorConfig, GeneratorConfig, HeadKind, plan_for
from sngan_cond.constraints.build import build_constraint
from sngan_cond.constraints.config import ConstraintConfig
from sngan_cond.networks.discriminator import Discriminator
from sngan_cond.networks.generator import Generator
from sngan_cond.networks.layers import BatchNorm2d, ConditionalBatchNorm2d
from sngan_cond.npy import NpyError, NpyHeader, read_npy_header
from sngan_cond.plans import StagePlan
from sngan_cond.stored import ARCHIVE_ERRORS, open_regular
from sngan_cond.validation import one_line

# Number of the last residual block to side in pixels, of gen_models/resnet*.py (where numbering starts at 2) and
# dis_models/snresnet*.py (from 1). 48 px has no official code.
_RESOLUTION_OF_LAST_BLOCK = {4: 32, 5: 64, 6: 128, 7: 256}
_IMAGENET_CLASSES = 1000
_LISTED = 5  # keys named in one message
_MAX_KEYS = 10_000  # of a file; the largest snapshot has some hundred
# How often its bytes on the disk a file's arrays may have: weights hardly shrink, and a new network's are partly 0.
_MAX_EXPANSION = 100
_FREE_BYTES = 2**26  # that they may have whatever the file has

# Our names to the official ones: parts of a residual block, then the arrays of each kind of layer.
_PARTS = {"norm1": "b1", "norm2": "b2", "conv1": "c1", "conv2": "c2", "skip": "c_sc"}
_STATISTICS = {"running_mean": "avg_mean", "running_var": "avg_var", "num_batches_tracked": "N"}
_LAYER = {"weight": "W", "bias": "b"}
_PLAIN_NORM = {"weight": "gamma", "bias": "beta", **_STATISTICS}
_CONDITIONAL_NORM = {
    "gain": "gammas/W",
    "bias": "betas/W",
    **{f"norm.{ours}": official for ours, official in _STATISTICS.items()},
}


def generator_from_chainer(npz: str | Path) -> Generator:
    """Read an official generator snapshot of any size, with or without classes.

    A snapshot of 1,000 classes gets ImageNet's names and WordNet ids, in whose order the official code numbers labels.
    The file does not say how z was distributed; normal is the official default.

    Args:
        npz: a file that `chainer.serializers.save_npz` wrote, such as the official trainer's `ResNetGenerator_<n>.npz`.
    Returns:
        The generator, float32, in eval mode.
    Raises:
        ValueError: if the file is not such a snapshot; unknown keys, missing keys and wrong shapes are named.
    """
    snapshot = _Snapshot(npz, network="generator")
    resolution, plan = snapshot.plan()
    number = len(plan.g_widths) + 1  # of the layers behind the last block
    # The official 32 px generator calls its last convolution c5, the larger ones l6 and so on.
    conv = f"c{number}" if resolution == 32 else f"l{number}"
    classes = snapshot.shape("block2/b1/gammas/W", 2)[0] if "block2/b1/gammas/W" in snapshot.arrays else 0
    names, ids = imagenet_classes() if classes == _IMAGENET_CLASSES else (None, None)
    with snapshot.named_in_errors(), torch.device("meta"):  # nothing is allocated before all shapes are known to fit
        config = GeneratorConfig(
            resolution=resolution,
            num_classes=classes,
            latent_dim=snapshot.shape("l1/W", 2)[1],
            channels=snapshot.shape(f"{conv}/W", 4)[1],
            class_names=names,
            class_ids=ids,
        )
        G = Generator(config)
    layers = {"network.linear": "l1", "network.norm": f"b{number}", "network.conv": conv}
    keys = _official_keys(G, layers, blocks="network.blocks", first_block=2)
    snapshot.check({official: tuple(G.state_dict()[ours].shape) for ours, official in keys.items()})
    G.load_state_dict({ours: snapshot.tensor(official) for ours, official in keys.items()}, assign=True)
    return G.eval()


def discriminator_from_chainer(npz: str | Path) -> Discriminator:
    """Read an official discriminator snapshot of any size and head.

    Args:
        npz: a file that `chainer.serializers.save_npz` wrote, such as the official trainer's
            `SNResNetProjectionDiscriminator_<n>.npz`.
    Returns:
        The discriminator, float32, in eval mode, spectrally normalised, with every u taken from the file.
    Raises:
        ValueError: if the file is not such a snapshot; unknown keys, missing keys and wrong shapes are named.
    """
    snapshot = _Snapshot(npz, network="discriminator")
    resolution, plan = snapshot.plan()
    classes, embed_dim = snapshot.shape("l_y/W", 2) if "l_y/W" in snapshot.arrays else (0, 0)
    trunk = snapshot.shape(f"block{plan.concat_after}/c2/W", 4)[0]
    joined_width = snapshot.shape(f"block{plan.concat_after + 1}/c1/W", 4)[1] - trunk  # channels of label planes
    head: HeadKind = "unconditional" if not classes else "concat" if joined_width > 0 else "projection"
    with snapshot.named_in_errors(), torch.device("meta"):
        config = DiscriminatorConfig(
            resolution=resolution,
            num_classes=classes,
            head=head,
            channels=snapshot.shape("block1/c1/W", 4)[0],
            embed_dim=embed_dim if head == "concat" else DiscriminatorConfig.embed_dim,
        )
        D = Discriminator(config)
    layers = {"head.linear": f"l{len(plan.d_widths) + 1}", "head.embed": "l_y", "trunk.labels.embed": "l_y"}
    keys = _official_keys(D, layers, blocks="trunk.blocks", first_block=1)
    shapes = {official: tuple(D.state_dict()[ours].shape) for ours, official in keys.items()}
    # Every layer with a weight "W" has the left singular vector of its power iteration beside it, "u", (1, outputs).
    us = {ours: official[:-1] + "u" for ours, official in keys.items() if official.endswith("/W")}
    snapshot.check(shapes | {us[ours]: (1, shapes[keys[ours]][0]) for ours in us})
    D.load_state_dict({ours: snapshot.tensor(official) for ours, official in keys.items()}, assign=True)
    build_constraint(ConstraintConfig()).attach(D)
    for ours, official in us.items():
        u = D.get_buffer(ours.replace(".weight", ".parametrizations.weight.0.u"))
        u.copy_(snapshot.tensor(official).squeeze(0))
    return D.eval()


def _official_keys(network: nn.Module, layers: dict[str, str], *, blocks: str, first_block: int) -> dict[str, str]:
    """Map the network's state-dict keys to the snapshot's.

    Args:
        network: without a constraint.
        layers: path of a layer outside the residual blocks to its official name.
        blocks: path of the list of residual blocks.
        first_block: official number of the first of them.
    """
    keys = {}
    for path, layer in network.named_modules():
        if isinstance(layer, ConditionalBatchNorm2d):
            leaves = _CONDITIONAL_NORM
        elif isinstance(layer, BatchNorm2d):
            leaves = _PLAIN_NORM
        elif isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            leaves = _LAYER if getattr(layer, "bias", None) is not None else {"weight": "W"}
        else:
            continue
        if path.startswith(blocks):
            index, part = path.removeprefix(blocks + ".").split(".")
            official = f"block{int(index) + first_block}/{_PARTS[part]}"
        else:
            official = layers[path]
        keys.update({f"{path}.{ours}": f"{official}/{leaf}" for ours, leaf in leaves.items()})
    return keys


class _Snapshot:
    """The arrays of one `.npz` file; every error begins with the file's name.

    Args:
        network: what it should hold.
    Raises:
        ValueError: if the file cannot be read.
    """

    def __init__(self, npz: str | Path, *, network: Literal["generator", "discriminator"]) -> None:
        self.path = npz
        self.network = network
        self.arrays = self._headers()
        self._tensors: dict[str, Tensor] = {}

    def plan(self) -> tuple[int, StagePlan]:
        """Return the resolution in pixels, which the number of residual blocks tells, and its plan."""
        own, other = ("l1/W", "block1/c1/W") if self.network == "generator" else ("block1/c1/W", "l1/W")
        if own not in self.arrays and other in self.arrays:
            raise ValueError(f"{self.path}: holds {other!r} and no {own!r}, so it is no {self.network}'s snapshot")
        numbers = [int(match[1]) for key in self.arrays if (match := re.match(r"block(\d{1,3})/", key))]
        last = max(numbers, default=0)
        if last not in _RESOLUTION_OF_LAST_BLOCK:
            raise ValueError(
                f"{self.path}: no official {self.network} ends with residual block {last}; those of "
                f"{_RESOLUTION_OF_LAST_BLOCK} px do (block: px); the file's keys are {_few(self.arrays)}"
            )
        resolution = _RESOLUTION_OF_LAST_BLOCK[last]
        return resolution, plan_for(resolution)

    def shape(self, key: str, axes: int) -> tuple[int, ...]:
        """Return the shape of an array that has `axes` axes."""
        if key not in self.arrays:
            raise ValueError(f"{self.path}: the key {key!r} is missing; the file's keys are {_few(self.arrays)}")
        shape = self.arrays[key].shape
        if len(shape) != axes:
            raise ValueError(f"{self.path}: {key!r} has shape {shape}; {axes} axes are allowed")
        return shape

    def check(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Read all arrays, but refuse unknown and missing keys, other shapes and types, and what no network holds."""
        unknown, missing = set(self.arrays) - set(shapes), set(shapes) - set(self.arrays)
        wrong = [f"unknown keys {_few(unknown)}"] if unknown else []
        wrong += [f"missing keys {_few(missing)}"] if missing else []
        if wrong:
            raise ValueError(f"{self.path}: not an official {self.network}'s snapshot: {'; '.join(wrong)}")
        wrong = [
            f"{key!r} has shape {self.arrays[key].shape}, {shape} is allowed"
            for key, shape in sorted(shapes.items())
            if self.arrays[key].shape != shape
        ]
        if wrong:
            more = f"; {len(wrong) - _LISTED} more do not fit" if len(wrong) > _LISTED else ""
            raise ValueError(f"{self.path}: {'; '.join(wrong[:_LISTED])}{more}")
        for key, header in self.arrays.items():
            if header.dtype.kind not in ("iu" if key.endswith("/N") else "f"):
                what = f"is of type {header.dtype}; numbers as Chainer saves are allowed"
                raise ValueError(f"{self.path}: {key!r} {what}")
        with self._opened() as archive:
            self._tensors = {key: _tensor(archive, key) for key in self.arrays}
        for key, tensor in self._tensors.items():
            if not tensor.isfinite().all():
                raise ValueError(f"{self.path}: {key!r} holds values that are not finite")
            if key.endswith("/avg_var") and tensor.numel() and tensor.min() < 0:
                raise ValueError(f"{self.path}: {key!r} holds {tensor.min():.4g}: no variance is below 0")

    def tensor(self, key: str) -> Tensor:
        """Return one array, once all were checked: float32, or int64 for a counter."""
        return self._tensors[key]

    def _headers(self) -> dict[str, NpyHeader]:
        """Read what each array is, without its values."""
        with self._opened() as archive:
            keys = [name.removesuffix(".npy") for name in archive.namelist()]
            if len(keys) > _MAX_KEYS:
                raise ValueError(f"{len(keys):,} arrays, at most {_MAX_KEYS:,} are read")
            headers = {key: _header(archive, key) for key in keys}
            total = sum(header.size for header in headers.values())
            allowed = max(_FREE_BYTES, _MAX_EXPANSION * Path(self.path).stat().st_size)
            if total > allowed:
                raise ValueError(f"its arrays have {total:,} bytes; of a file of this size {allowed:,} are read")
            return headers

    @contextlib.contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            with open_regular(self.path) as file, zipfile.ZipFile(file) as archive:
                yield archive
        except FileNotFoundError as error:
            raise ValueError(f"{self.path}: no such file") from error
        except ARCHIVE_ERRORS as error:
            raise ValueError(f"{self.path}: not a readable .npz snapshot ({one_line(error, 200)})") from error

    @contextlib.contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Put the file's name before the message of a configuration that is refused."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"{self.path}: {str(error).removeprefix(f'{self.path}: ')}") from error


def _header(archive: zipfile.ZipFile, key: str) -> NpyHeader:
    try:
        with archive.open(f"{key}.npy") as file:
            return read_npy_header(file)
    except NpyError as error:
        raise ValueError(f"{key!r} {error}") from error


def _tensor(archive: zipfile.ZipFile, key: str) -> Tensor:
    with archive.open(f"{key}.npy") as file:
        header = read_npy_header(file)
        array = header.array(file.read(header.size))
    with np.errstate(over="ignore"):  # what overflows float32 becomes infinite, which is refused
        return torch.from_numpy(array.astype(np.float32 if array.dtype.kind == "f" else np.int64))


def _few(keys: Iterable[str]) -> str:
    """List the first few keys, and how many more there are."""
    names = sorted(keys)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(f"{name[:80]!r}" for name in names[:_LISTED]) + more if names else "none"
