"""The `sngan-cond` command: sample, morph, convert and info, for people who only use a model.

Nothing here imports torch, so that help and mistakes in the arguments take no seconds.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from sngan_cond import __version__
from sngan_cond.validation import one_line

_LONGEST_MESSAGE = 1000
_MODEL = "Hub repo (user/name or user/name@revision), folder, or 'bundled' for the small model inside this package"
_CLASS = "index, name (letter case does not matter; one of several comma-separated names is enough) or WordNet id"


class OneLineParser(argparse.ArgumentParser):
    """The argument parser of every command of this project: errors take one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        self.exit(2, f"{self.prog}: error: {_one_line(message)} (--help says more)\n")


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


def run_command(
    work: Callable[[], int | None], errors: type[Exception] | tuple[type[Exception], ...], *, name: str = ""
) -> int:
    """Do what a command does, and turn how it ends into its exit status.

    Args:
        work: returns the status; None is 0.
        errors: what the user can mend, which is said in one line without a traceback.
        name: what that line begins with.
    Returns:
        The status of `work`, 2 after one of the errors, 130 after Ctrl-C.
    """
    try:
        return work() or 0
    except KeyboardInterrupt as error:
        return exit_status(error)
    except errors as error:
        return exit_status(error, name=name)


def exit_status(error: BaseException, *, name: str = "") -> int:
    """Say in one line what ended a command, and return its status: 130 after Ctrl-C, which needs no words, or 2."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    message: object = error
    if isinstance(error, OSError):
        message = (f"{error.filename}: " if error.filename else "") + (error.strerror or str(error))
    print(f"{name}error: {_one_line(message)}", file=sys.stderr)
    return 2


def _one_line(message: object) -> str:
    return one_line(message, _LONGEST_MESSAGE, more="…")


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="sngan-cond", description="Sample from a class-conditional generator, and look at it.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=OneLineParser)
    verb = partial(verbs.add_parser, allow_abbrev=False)
    _add_sample(verb("sample", help="generate images", description="Generate images."))
    morph = verb(
        "morph",
        help="interpolate from one class to another",
        description="Interpolate from one class to another with one latent, by blending gains and biases of the "
        "conditional batch norms.",
    )
    _add_morph(morph)
    convert = verb(
        "convert",
        help="turn official Chainer weights into a model folder",
        description="Turn a generator snapshot of the official Chainer code into a folder that every command takes.",
    )
    _add_convert(convert)
    info = verb("info", help="say what a model is", description="Say what a model is and how it was made.")
    info.add_argument("--model", required=True, metavar="M", help=_MODEL)
    return parser


def _add_sample(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument(
        "--class",
        dest="classes",
        action="append",
        metavar="TEXT",
        help=f"class to show: {_CLASS}; repeat for several, one row each (default: none, for a model without classes)",
    )
    parser.add_argument("--n", type=int, default=16, metavar="INT", help="images of each class, from 1 (default: 16)")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help="file ending in .png for a grid with one row per class, or folder for single PNG files",
    )


def _add_morph(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument("--from", dest="from_class", required=True, metavar="TEXT", help=f"first class: {_CLASS}")
    parser.add_argument("--to", dest="to_class", required=True, metavar="TEXT", help="last class, written likewise")
    parser.add_argument("--steps", type=int, default=16, metavar="INT", help="images, from 2 (default: 16)")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help="file ending in .gif or .webp for an animation (120 ms per image), in .png for a strip",
    )


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--chainer",
        type=Path,
        required=True,
        metavar="FILE",
        help="snapshot of pfnet-research/sngan_projection, such as ResNetGenerator_450000.npz (32, 64, 128 or 256 px)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="M", help=_MODEL)
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
        help="images generated at once, 1 to 65536; changes speed and memory, images by rounding only (default: 1 on "
        "a CPU, 16 elsewhere)",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to compute; auto is cuda where there is one (default: auto)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: None takes the process's arguments.
    Returns:
        The exit status, as of `run_command`.
    """
    args = _parser().parse_args(argv)
    return run_command(lambda: _run(args), (ValueError, OSError), name=f"sngan-cond {args.verb}: ")


def _run(args: argparse.Namespace) -> None:
    from sngan_cond import commands  # once the flags are known to be right: importing torch takes seconds

    try:
        print(getattr(commands, args.verb)(args))
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        advice = "; try a smaller --batch-size" if "batch_size" in args else ""
        raise ValueError(f"out of memory on the device{advice}") from error


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Return whether memory ran out; PyTorch's CPU allocator has no exception class for that, only a message."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator:" in str(error)
