"""The verbs of the `sngan-cond` command and their flags; nothing here imports torch."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

MAX_IMAGES = 1_000_000  # in one call: keeps a slip of the finger from filling a disk

_MAX_STEPS = 10_000  # of a path, which as a strip or animation is held in memory
_MODEL = "Hub repo (user/name or user/name@revision), folder, or 'bundled' for the small model inside this package"
_CLASS = (
    "a name (letter case does not matter; one of several comma-separated names is enough), a WordNet id or an index"
)
_GRIDS = ".png, .jpg, .webp or .avif"
_PATHS = ".gif, .webp or .apng: an animation (120 ms per image); .png, .jpg or .avif: a strip"


class _Verbs(Protocol):
    """What `ArgumentParser.add_subparsers` returns."""

    def add_parser(self, name: str, *, help: str, description: str, allow_abbrev: bool) -> argparse.ArgumentParser: ...


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return the type of an argument that is an integer from `low` to `high`; None is no limit."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1  # refused, as all that is out of range
        if value < low or (high is not None and value > high):
            to = "" if high is None else f" to {high}"
            raise argparse.ArgumentTypeError(f"{text!r}: an integer from {low}{to} is allowed")
        return value

    return parse


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
    _add_model(parser)
    parser.add_argument(
        "--class",
        dest="classes",
        nargs="+",
        action="extend",
        metavar="TEXT",
        help=f"classes to show: 'all', or several, each {_CLASS}; may be repeated (default: none, for a model without "
        "classes)",
    )
    _add_count(parser, "images of each class")
    _add_drawing(parser)
    _add_out(
        parser,
        f"{_GRIDS}: a grid, one row per class; nearly square for one class or one image of each",
        arrays="labels",
    )


def _add_morph(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument("--from", dest="from_class", required=True, metavar="TEXT", help=f"first class: {_CLASS}")
    parser.add_argument("--to", dest="to_class", required=True, metavar="TEXT", help="last class, written likewise")
    _add_steps(parser)
    _add_drawing(parser)
    _add_out(parser, _PATHS, arrays="class weights (N, K)")


def _add_walk(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument(
        "--class",
        dest="in_class",
        metavar="TEXT",
        help=f"class to walk in: {_CLASS} (default: none, for a model without classes)",
    )
    parser.add_argument("--to-seed", type=int, required=True, metavar="INT", help="seed of the last image")
    _add_steps(parser)
    _add_drawing(parser)
    _add_out(parser, _PATHS, arrays="labels")


def _add_mixture(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
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
    _add_count(parser, "images")
    _add_drawing(parser)
    _add_out(parser, f"{_GRIDS}: a nearly square grid", arrays="class weights (N, K)")


def _add_classes(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument(
        "--search",
        metavar="TEXT",
        help="part of a name or WordNet id, or an index: those classes alone, best first (default: all classes)",
    )


def _add_info(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument("--card", action="store_true", help="print the model's card instead, its README.md")


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--chainer",
        type=Path,
        required=True,
        metavar="FILE",
        help="snapshot of pfnet-research/sngan_projection, such as ResNetGenerator_450000.npz (32, 64, 128 or 256 px)",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder to write")


def _add_export(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
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
        "-o", "--out", type=Path, required=True, metavar="FILE", help="ends in .onnx, or in .pt2 for torch-export"
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="M", help=_MODEL)
    parser.add_argument(
        "--quiet", action="store_true", help="print neither progress nor notes, only the result and mistakes"
    )


def _add_count(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "-n",
        "--n",
        type=integer(1, MAX_IMAGES),
        default=16,
        metavar="INT",
        help=f"{what}, 1 to {MAX_IMAGES:,} in all (default: 16)",
    )


def _add_steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--steps",
        type=integer(2, _MAX_STEPS),
        default=16,
        metavar="INT",
        help=f"images, both ends included, 2 to {_MAX_STEPS:,} (default: 16)",
    )


def _add_drawing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="INT",
        help="0 to 2**63 - 1; the same seed gives the same images (default: 0)",
    )
    parser.add_argument(
        "--truncation",
        type=float,
        metavar="FLOAT",
        help="threshold in standard deviations, from 0.05: components of the latent beyond it are drawn again, which "
        "trades variety for quality. Implementations disagree on this word: elsewhere it may be a factor on the latent "
        "or a pull towards a mean latent (default: none, plain latents, as evaluation uses)",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="INT",
        help="images generated at once, 1 to 65536; changes speed and memory, images by rounding only (default: on "
        "a CPU 1 to 64, by the network's size, 16 elsewhere)",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="auto",
        help="where to compute; auto is cuda where there is one, else cpu; mps is untested (default: auto)",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16", "float64"),
        default="float32",
        help="type of weights and arithmetic; changes the images by rounding (default: float32)",
    )


def _add_out(parser: argparse.ArgumentParser, pictures: str, *, arrays: str) -> None:
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help=f"{pictures}; .npz: arr_0, images (N, R, R, 3) uint8, and arr_1, {arrays}; .npy: the images alone; a name "
        "without an ending: a folder of single images",
    )
    parser.add_argument("--columns", type=integer(1), metavar="INT", help="images in a row of a grid, from 1")
    parser.add_argument(
        "--format",
        dest="single",
        choices=("png", "jpg", "webp", "avif"),
        help="of the files in a folder (default: png)",
    )
