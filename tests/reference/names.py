"""The official name of every layer, written out by hand: not the converter's own map, which it checks."""

from torch import nn

from sngan_cond import Discriminator, Generator

_LAST_G = {32: ("b5", "c5"), 64: ("b6", "l6"), 128: ("b7", "l7"), 256: ("b8", "l8")}
_LAST_D = {32: "l5", 64: "l6", 128: "l7", 256: "l8"}


def official_layers(network: Generator | Discriminator) -> dict[str, nn.Module]:
    """Return the layers of a ResNet by official name, in the order of the official file."""
    layers: dict[str, nn.Module] = {}
    if isinstance(network, Generator):
        resnet = network.network
        layers["l1"] = resnet.linear
        for number, block in enumerate(resnet.blocks, start=2):
            parts = {"b1": block.norm1, "c1": block.conv1, "b2": block.norm2, "c2": block.conv2, "c_sc": block.skip}
            layers.update({f"block{number}/{part}": layer for part, layer in parts.items()})
        norm, conv = _LAST_G[network.config.resolution]
        layers[norm], layers[conv] = resnet.norm, resnet.conv
        return layers
    for number, block in enumerate(network.trunk.blocks, start=1):
        layers[f"block{number}/c1"], layers[f"block{number}/c2"] = block.conv1, block.conv2
        if block.skip is not None:
            layers[f"block{number}/c_sc"] = block.skip
    layers[_LAST_D[network.config.resolution]] = network.head.linear
    embed = network.head.embed if network.trunk.labels is None else network.trunk.labels.embed
    if embed is not None:
        layers["l_y"] = embed
    return layers


def official_parameters(network: Generator | Discriminator) -> dict[str, nn.Parameter]:
    """Return the parameters by official name; of a spectrally normalised layer the raw weight."""
    parameters: dict[str, nn.Parameter] = {}
    for path, layer in official_layers(network).items():
        own = dict(layer.named_parameters())
        for ours, official in {
            "parametrizations.weight.original": "W",
            "gain": "gammas/W",
            "weight": "gamma" if isinstance(layer, nn.BatchNorm2d) else "W",
        }.items():
            if ours in own:
                parameters[f"{path}/{official}"] = own[ours]
        if own.get("bias") is not None:
            bias = {"gain": "betas/W"} if "gain" in own else {}
            name = bias.get("gain") or ("beta" if isinstance(layer, nn.BatchNorm2d) else "b")
            parameters[f"{path}/{name}"] = own["bias"]
    return parameters
