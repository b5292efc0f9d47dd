"""What tests of the `sngan-cond` command share: the models, and a command that must fail."""

import re
from pathlib import Path

import torch

from sngan_cond import Generator, GeneratorConfig
from sngan_cond.cli import main
from tests.refusals import refused_command

NAMES = ("tench, Tinca tinca", "crane", "golf ball", "crane")
IDS = ("n01440764", "n02012849", "n03445777", "n03126707")


def build(classes: int, **changed: object) -> Generator:
    """A tiny generator whose classes differ."""
    torch.manual_seed(classes)
    names = {"class_names": NAMES, "class_ids": IDS} if classes else {}
    sizes = {"resolution": 32, "num_classes": classes, "channels": 4, "latent_dim": 8}
    G = Generator(GeneratorConfig(**{**sizes, **names, **changed}))
    for layer in G.modules():
        if hasattr(layer, "gain"):
            torch.nn.init.normal_(layer.gain, 1, 0.5)
            torch.nn.init.normal_(layer.bias)
            layer.norm.running_var.fill_(1)
    return G.eval()


def save_conditional(folder: Path) -> str:
    """Write a model of four classes, with facts and a score; returns its place."""
    training = {"step": 1200, "images_seen": 9600, "preset": "tiny\x1b[31m"}
    rows = [{"name": "frechet_stand_in", "value": 12.5, "protocol": "quick", "extractor": "random"}]
    build(4).save_pretrained(folder, training=training, metrics={"metrics": rows})
    return str(folder)


def refused(*arguments: object) -> str:
    """Run the command, which must fail, and return its one line."""
    line = refused_command(main, arguments)
    assert re.match(r"sngan-cond( \w+)?: error: ", line)
    return line
