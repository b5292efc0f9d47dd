"""The verbs of the `sngan-cond` command and their flags; nothing here imports torch."""

import argparse
from pathlib import Path
from typing import Protocol

from sngan_cond import flag_groups as groups

_CLASS = (
    "a name (letter case does not matter; one of several comma-separated names is enough), a WordNet id or an index"
)
_BLEND = "or a blend of some, label indices times weights, as in 8*0.7+2*0.3"
_GRIDS = ".png, .jpg, .webp or .avif"
_PATHS = ".gif, .webp or .apng: an animation (120 ms per image); .png, .jpg or .avif: a strip"


class _Verbs(Protocol):
    """What `ArgumentParser.add_subparsers` returns."""

    def add_parser(self, name: str, *, help: str, description: str, allow_abbrev: bool) -> argparse.ArgumentParser: ...


def add_verbs(verbs: _Verbs) -> None:
    """Add every verb with its flags."""

    def verb(name: str, does: str, description: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=does, description=description, allow_abbrev=False)

    blending = "by blending gains and biases of the conditional batch norms."
    _add_sample(verb("sample", "generate images of classes", "Generate images of classes."))
    _add_morph(
        verb(
            "morph",
            "interpolate from one class to another",
            f"Interpolate from one class to another with one latent, {blending}",
        )
    )
    _add_walk(
        verb(
            "walk",
            "interpolate from one latent to another",
            "Interpolate from the latent of one seed to that of another within a class: by slerp where latents are "
            "normal, else along a straight line.",
        )
    )
    _add_mixture(
        verb(
            "mixture", "generate images of a mixture of classes", f"Generate images of a mixture of classes, {blending}"
        )
    )
    _add_vary(
        verb(
            "vary",
            "generate images near one",
            "Generate images near one whose latent has a name: each latent goes a fraction of the way towards another.",
        )
    )
    _add_cross(
        verb(
            "cross",
            "cross two images",
            "Cross two images whose latents have names: down the rows goes the latent from the one to the other, along "
            "each row the class.",
        )
    )
    _add_classes(
        verb(
            "classes",
            "list the classes that a model knows",
            "List the classes that a model knows, one a line: index, WordNet id and name, as far as it has them, "
            "between tabs.",
        )
    )
    _add_info(verb("info", "say what a model is", "Say what a model is and how it was made."))
    _add_convert(
        verb(
            "convert",
            "turn official Chainer weights into a model folder",
            "Turn a generator snapshot of the official Chainer code into a folder that every command takes.",
        )
    )
    _add_export(
        verb(
            "export",
            "write a model as one file for other programs",
            "Write a model as one file for other programs, once the file's images were compared with the model's. It "
            "takes batches of any size: z (batch, latent_dim) float32 and, with classes, y; it gives images "
            "(batch, 3, R, R) float32 in [-1, 1].",
        )
    )


def _add_sample(parser: argparse.ArgumentParser) -> None:
    groups.add_model(parser)
    parser.add_argument(
        "--class",
        dest="classes",
        nargs="+",
        action="extend",
        metavar="TEXT",
        help=f"classes to show: 'all', or several, each {_CLASS}; may be repeated (default: none, for a model without "
        "classes)",
    )
    groups.add_count(parser, "images of each class", named=True)
    groups.add_drawing(parser)
    groups.add_out(
        parser,
        f"{_GRIDS}: a grid, one row per class; nearly square for one class or one image of each",
        arrays="labels",
    )


def _add_morph(parser: argparse.ArgumentParser) -> None:
    groups.add_model(parser)
    parser.add_argument("--from", dest="from_class", required=True, metavar="TEXT", help=f"first class: {_CLASS}")
    parser.add_argument("--to", dest="to_class", required=True, metavar="TEXT", help="last class, written likewise")
    groups.add_steps(parser)
    groups.add_drawing(parser)
    groups.add_out(parser, _PATHS, arrays="class weights (N, K)")


def _add_walk(parser: argparse.ArgumentParser) -> None:
    groups.add_model(parser)
    _add_class(parser, "--class", "class to walk in")
    parser.add_argument("--to-seed", type=int, required=True, metavar="INT", help="seed of the last image")
    groups.add_steps(parser)
    groups.add_drawing(parser)
    groups.add_out(parser, _PATHS, arrays="labels, or class weights (N, K) of a blend")


def _add_mixture(parser: argparse.ArgumentParser) -> None:
    groups.add_model(parser)
    parser.add_argument(
        "--class",
        dest="classes",
        nargs="+",
        action="extend",
        required=True,
        metavar="TEXT",
        help=f"classes to mix, each {_CLASS}; may be repeated",
    )
    parser.add_argument(
        "--weight",
        dest="weights",
        type=float,
        nargs="+",
        action="extend",
        metavar="FLOAT",
        help="one for each class in their order, each from 0; only their proportions count (default: equal ones)",
    )
    groups.add_count(parser, "images", named=True)
    groups.add_drawing(parser)
    groups.add_out(parser, f"{_GRIDS}: a nearly square grid", arrays="class weights (N, K)")


def _add_vary(parser: argparse.ArgumentParser) -> None:
    groups.add_model(parser)
    groups.add_latent(parser, "--latent", "latent around which the images lie", required=True)
    _add_class(parser, "--class", "their class")
    parser.add_argument(
        "--radius",
        type=float,
        default=0.2,
        metavar="FLOAT",
        help="fraction of the way that each goes towards a latent of the seed, 0 to 1 (default: 0.2)",
    )
    groups.add_count(parser, "images")
    groups.add_seed(parser, "0 to 2**63 - 1; draws the latents that they go towards (default: 0)")
    groups.add_computing(parser)
    groups.add_out(parser, f"{_GRIDS}: a nearly square grid", arrays="labels, or class weights (N, K) of a blend")


def _add_cross(parser: argparse.ArgumentParser) -> None:
    groups.add_model(parser)
    groups.add_latent(parser, "--latent", "latent of the first row", required=True)
    _add_class(parser, "--class", "class of the first column")
    parser.add_argument("--to-latent", required=True, metavar="NAME", help="latent of the last row, written likewise")
    _add_class(parser, "--to-class", "class of the last column")
    groups.add_steps(parser, "rows, and columns where there are classes", most=100, default=4)
    groups.add_computing(parser)
    groups.add_out(parser, f"{_GRIDS}: a grid of these", arrays="class weights (N, K)")


def _add_class(parser: argparse.ArgumentParser, flag: str, what: str) -> None:
    """Add one class, or a blend."""
    parser.add_argument(
        flag,
        dest=f"{'to' if flag == '--to-class' else 'in'}_class",
        metavar="TEXT",
        help=f"{what}: {_CLASS}, {_BLEND} (default: none, for a model without classes)",
    )


def _add_classes(parser: argparse.ArgumentParser) -> None:
    groups.add_model(parser)
    parser.add_argument(
        "--search",
        metavar="TEXT",
        help="part of a name or WordNet id, or an index: those classes alone, best first (default: all classes)",
    )


def _add_info(parser: argparse.ArgumentParser) -> None:
    groups.add_model(parser)
    parser.add_argument("--card", action="store_true", help="print the model's card instead, its README.md")


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--chainer",
        type=Path,
        required=True,
        metavar="FILE",
        help="snapshot of pfnet-research/sngan_projection, such as ResNetGenerator_450000.npz (32, 64, 128 or 256 px)",
    )
    parser.add_argument("-o", "--out", type=groups.path, required=True, metavar="DIR", help="folder to write")


def _add_export(parser: argparse.ArgumentParser) -> None:
    groups.add_model(parser)
    parser.add_argument(
        "--to",
        choices=("onnx", "torch-export"),
        required=True,
        help="onnx, for onnxruntime, TensorRT and browsers; or the program that torch.export.load reads",
    )
    parser.add_argument(
        "--inputs",
        choices=("labels", "weights"),
        default="labels",
        help="what y is: labels (batch,) int64, or class weights (batch, K) float32 (default: labels)",
    )
    parser.add_argument(
        "--half",
        action="store_true",
        help="store and compute in float16: half the size, images within 0.1 of the model's instead of 0.001",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=groups.path,
        required=True,
        metavar="FILE",
        help="ends in .onnx, or in .pt2 for torch-export",
    )
