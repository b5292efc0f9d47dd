"""`python -m train.prepare`: Turn any source of images into a folder that training reads without decoding."""

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sngan_cond.cli import OneLineParser
from train.data.image import FILTERS, FITS, Fitting
from train.data.sources import FORMS, open_source
from train.data.sources.base import Source, SourceRequest
from train.data.workers import SKIPPED_NAME
from train.errors import DataError

if TYPE_CHECKING:
    from train.data.dataset import PreparedDataset

MAX_RESOLUTION = 1024
EPILOG = """examples:
  python -m train.prepare --source imagefolder:imagenet/train --resolution 128 --min-side 256 --out data/imagenet-128
  python -m train.prepare --source torchvision:CIFAR10 --download --resolution 32 --out data/cifar10-32
  python -m train.prepare --source torchvision:STL10:/data --split unlabeled --resolution 48 --out data/stl10-48
  python -m train.prepare --source hf:zh-plus/tiny-imagenet --resolution 64 --out data/tiny-imagenet-64
  python -m train.prepare --source shapes:10 --resolution 32 --limit 20000 --out data/shapes-32

The same command after a kill goes on where it stopped; after it is done it does nothing. The result depends on neither
--workers nor interruptions."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = OneLineParser(
        prog="python -m train.prepare",
        description=__doc__.partition(": ")[2],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("--source", required=True, metavar="S", help=f"where images come from: {FORMS}")
    p.add_argument("--resolution", required=True, type=int, metavar="PX", help="side of the result in pixels, integer")
    p.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder to be made; DIR.partial until it is whole"
    )
    p.add_argument(
        "--split", metavar="NAME", help="which part of the source (default: train; imagefolder: PATH itself)"
    )
    p.add_argument(
        "--crop",
        metavar="C",
        help="center (square of the short side), center:PX (square of PX pixels in the "
        "middle) or none (default: center; CelebA: center:128)",
    )
    p.add_argument(
        "--fit",
        choices=FITS,
        help="resize to the square, or pad: reduce if needed, never enlarge or "
        "stretch, black around it (default: resize; MNIST and FashionMNIST: pad)",
    )
    p.add_argument(
        "--filter",
        choices=tuple(FILTERS),
        default="bilinear",
        metavar="F",
        help=f"how to resize: {', '.join(FILTERS)}; averages when reducing (default: bilinear, the official one)",
    )
    p.add_argument(
        "--min-side",
        type=int,
        metavar="PX",
        help="images with a shorter side count as bad (default: the "
        "resolution for imagefolder and hf unless padded, else 1; officially 256 for ImageNet)",
    )
    p.add_argument(
        "--on-bad-image",
        choices=("skip", "fail"),
        default="skip",
        help="unreadable, truncated or too small: leave out and report, or stop (default: skip)",
    )
    p.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="use N images, spread evenly over the classes (default: all; shapes: 10000)",
    )
    p.add_argument(
        "--unlabelled", action="store_true", help="leave classes out; an imagefolder needs no sub-folders then"
    )
    p.add_argument(
        "--label-column", metavar="NAME", help="where an hf source has its labels (default: its class labels)"
    )
    p.add_argument("--seed", type=int, default=0, metavar="N", help="seed of drawn shapes, from 0 (default: 0)")
    p.add_argument(
        "--workers",
        type=int,
        default=_processors(),
        metavar="N",
        help="processes that decode (default: %(default)s, the processors of this machine)",
    )
    p.add_argument("--download", action="store_true", help="let torchvision fetch what is missing (default: never)")
    p.add_argument("--verify", action="store_true", help="recompute the sha256 of a DIR that is already there")
    return p


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the command line without the program's name, None for this process's own.
    Returns:
        Exit status: 0, 2 for a user's mistake, 130 after Ctrl-C.
    """
    p = parser()
    try:
        _prepare(p.parse_args(arguments))
    except DataError as error:
        print(f"{p.prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{p.prog}: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    return 0


def _prepare(options: argparse.Namespace) -> None:
    # Here, for worker processes import this module anew, and pydantic would double their start.
    from train.data.build import Request, build
    from train.data.dataset import PreparedDataset

    _check(options)
    asked = SourceRequest(**{field.name: getattr(options, field.name) for field in dataclasses.fields(SourceRequest)})
    source = open_source(asked)
    for remark in source.remarks:
        print(f"note: {remark}", file=sys.stderr)
    request = Request(asked, _fitting(options, source), options.on_bad_image)
    dataset, was_there = build(source, request, options.out, workers=options.workers)
    if was_there and options.verify:
        dataset = PreparedDataset.open(options.out, verify=True)
    _report(dataset, was_there)


def _check(options: argparse.Namespace) -> None:
    """Check the ranges, which argparse does not."""
    for name, value, low, high in (
        ("--resolution", options.resolution, 4, MAX_RESOLUTION),
        ("--min-side", options.min_side, 1, None),
        ("--limit", options.limit, 1, None),
        ("--seed", options.seed, 0, None),
        ("--workers", options.workers, 1, None),
    ):
        if value is not None and (value < low or (high is not None and value > high)):
            raise DataError(f"{name} is {value}; allowed is {low} {f'to {high}' if high else 'or more'}")
    side = (options.crop or "").removeprefix("center:")
    if options.crop not in (None, "center", "none") and not (
        side.isdecimal() and int(side) > 0 and side != options.crop
    ):
        raise DataError(f"--crop is {options.crop!r}; allowed are center, center:PX, none")


def _fitting(options: argparse.Namespace, source: Source) -> Fitting:
    """Fill what was not given from the source's defaults."""
    fit = options.fit or source.fit
    min_side_px = options.min_side or source.min_side_px or (1 if fit == "pad" else options.resolution)
    return Fitting(options.resolution, options.crop or source.crop, fit, options.filter, min_side_px)


def _report(dataset: "PreparedDataset", was_there: bool) -> None:
    info, side = dataset.info, dataset.resolution
    counts = info.images_per_class
    classes = f"{len(counts)} classes of {min(counts):,} to {max(counts):,}" if counts else "no classes"
    state = "was there already" if was_there else "is ready"
    megabytes = dataset.images.nbytes / 1e6
    print(f"{dataset.folder} {state}: {len(dataset):,} images of {side}x{side} px, {classes}, {megabytes:,.1f} MB")
    if total := info.skipped["total"]:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in info.skipped["by_reason"].items() if number)
        first = info.skipped["examples"][0]
        print(
            f"skipped {total:,} ({reasons}), the first {first['file']}: {first['detail']}; "
            f"all are listed in {dataset.folder / SKIPPED_NAME}"
        )


def _processors() -> int:
    """Return how many processors this process may use; there may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
