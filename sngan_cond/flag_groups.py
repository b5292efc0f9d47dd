"""Flags that several verbs of the `sngan-cond` command have; nothing here imports torch."""

import argparse
from collections.abc import Callable
from pathlib import Path

DEFAULT_COUNT = 16
MAX_IMAGES = 1_000_000  # in one call: keeps a slip of the finger from filling a disk

_MODEL = "Hub repo (user/name or user/name@revision), folder, or 'bundled' for the small model inside this package"
_LATENT = "SEED:ROW (7:3 is row 3 of seed 7, from 0), SEED:ROW:TRUNCATION, or moves between them (7:3~0.2~11:2)"


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


def path(text: str) -> Path:
    """Return a path to write to; an empty text would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("'': a path is allowed")
    return Path(text)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model, and quiet."""
    parser.add_argument("--model", required=True, metavar="M", help=_MODEL)
    parser.add_argument(
        "--quiet", action="store_true", help="print neither progress nor notes, only the result and mistakes"
    )


def add_count(parser: argparse.ArgumentParser, what: str, *, named: bool = False) -> None:
    """Add how many images.

    Args:
        named: whether there is one alone where a latent is given by its name; without a default then.
    """
    parser.add_argument(
        "-n",
        "--n",
        type=integer(1, MAX_IMAGES),
        default=None if named else DEFAULT_COUNT,
        metavar="INT",
        help=f"{what}, 1 to {MAX_IMAGES:,} in all (default: {DEFAULT_COUNT}{'; 1 with --latent' * named})",
    )


def add_steps(parser: argparse.ArgumentParser, what: str = "images", *, most: int = 10_000, default: int = 16) -> None:
    """Add how many steps; by default at most so many as fit into memory as a strip or an animation."""
    parser.add_argument(
        "--steps",
        type=integer(2, most),
        default=default,
        metavar="INT",
        help=f"{what}, both ends included, 2 to {most:,} (default: {default})",
    )


def add_drawing(parser: argparse.ArgumentParser) -> None:
    """Add what says which latents, and where and how to compute."""
    add_seed(parser, "0 to 2**63 - 1; the same seed gives the same images (default: 0)")
    parser.add_argument(
        "--truncation",
        type=float,
        metavar="FLOAT",
        help="threshold in standard deviations, from 0.05: components of the latent beyond it are drawn again, which "
        "trades variety for quality. Implementations disagree on this word: elsewhere it may be a factor on the latent "
        "or a pull towards a mean latent (default: none, plain latents, as evaluation uses)",
    )
    add_latent(parser, "--latent", "one latent by its name, in the place of what --seed and --truncation draw")
    add_computing(parser)


def add_seed(parser: argparse.ArgumentParser, help: str) -> None:
    """Add the seed, without a default, so that it is known whether it was given."""
    parser.add_argument("--seed", type=int, metavar="INT", help=help)


def add_latent(parser: argparse.ArgumentParser, flag: str, what: str, *, required: bool = False) -> None:
    """Add a latent by its name."""
    parser.add_argument(flag, required=required, metavar="NAME", help=f"{what}: {_LATENT}")


def add_computing(parser: argparse.ArgumentParser) -> None:
    """Add where and how to compute."""
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


def add_out(parser: argparse.ArgumentParser, pictures: str, *, arrays: str) -> None:
    """Add where the images go.

    Args:
        pictures: what a file becomes, by its ending.
        arrays: what an .npz holds beside the images.
    """
    parser.add_argument(
        "-o",
        "--out",
        type=path,
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
