"""Official Chainer snapshots (pfnet-research/sngan_projection) to the networks here; nothing is unpickled."""

from pathlib import Path

import torch
from torch import nn

from sngan_cond.chainer_snapshot import ChainerSnapshot
from sngan_cond.classes import imagenet_classes
from sngan_cond.config import DiscriminatorConfig, GeneratorConfig, HeadKind
from sngan_cond.constraints import SpectralNorm
from sngan_cond.constraints.spectral import SpectralNormalization
from sngan_cond.discriminator import Discriminator
from sngan_cond.generator import Generator
from sngan_cond.layers import BatchNorm2d, ConditionalBatchNorm2d

_IMAGENET_CLASSES = 1000

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

    Sizes are read off the arrays' shapes. A snapshot of 1,000 classes gets ImageNet's names and WordNet ids, in whose
    order the official code numbers labels. The file does not say how z was distributed; normal is the official default.

    Args:
        npz: file that `chainer.serializers.save_npz` wrote, such as the official trainer's `ResNetGenerator_<n>.npz`.
    Returns:
        The generator, float32, in eval mode.
    Raises:
        ValueError: if the file is not such a snapshot; unknown keys, missing keys and wrong shapes are named.
    """
    snapshot = ChainerSnapshot(npz, network="generator")
    resolution, plan = snapshot.plan()
    number = len(plan.g_widths) + 1
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
        npz: file that `chainer.serializers.save_npz` wrote, such as the official trainer's
            `SNResNetProjectionDiscriminator_<n>.npz`.
    Returns:
        The discriminator, float32, in eval mode, with its `SpectralNorm` attached and every u taken from the file.
    Raises:
        ValueError: if the file is not such a snapshot; unknown keys, missing keys and wrong shapes are named.
    """
    snapshot = ChainerSnapshot(npz, network="discriminator")
    resolution, plan = snapshot.plan()
    classes, embed_dim = snapshot.shape("l_y/W", 2) if "l_y/W" in snapshot.arrays else (0, 0)
    trunk = snapshot.shape(f"block{plan.concat_after}/c2/W", 4)[0]
    joined = snapshot.shape(f"block{plan.concat_after + 1}/c1/W", 4)[1] - trunk  # channels of label planes
    head: HeadKind = "unconditional" if not classes else "concat" if joined > 0 else "projection"
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
    us = {ours: official[:-1] + "u" for ours, official in keys.items() if official.endswith("/W")}
    snapshot.check(shapes | {us[ours]: (1, shapes[keys[ours]][0]) for ours in us})
    D.load_state_dict({ours: snapshot.tensor(official) for ours, official in keys.items()}, assign=True)
    SpectralNorm().attach(D)
    for ours, official in us.items():
        normalisation = D.get_submodule(ours.replace(".weight", ".parametrizations.weight.0"))
        assert isinstance(normalisation, SpectralNormalization)
        normalisation.u.copy_(snapshot.tensor(official).squeeze(0))
    return D.eval()


def _official_keys(network: nn.Module, layers: dict[str, str], *, blocks: str, first_block: int) -> dict[str, str]:
    """Map the network's state-dict keys to the snapshot's, layer by layer.

    Args:
        network: with plain layers.
        layers: path of a layer outside the blocks to its official name.
        blocks: path of the list of residual blocks.
        first_block: official number of its first block.
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
