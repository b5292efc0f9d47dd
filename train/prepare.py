"""`python -m train.prepare`: Turn any source of images into a folder that training reads without decoding."""

import argparse
import dataclasses
import re
import shlex
import sys
from pathlib import Path

from sngan_cond.cli import OneLineParser, run_command
from sngan_cond.validation import one_line, printable
from train.data.image import COLOUR_PROFILES, FILTERS, FITS, MAX_PIXELS, Fitting
from train.data.sources import FORMS, open_source
from train.data.sources.base import Source, SourceRequest
from train.data.sources.label_file import FOLDERS, WELL_KNOWN
from train.errors import DataError
from train.processes import processors

MAX_RESOLUTION = 1024
LARGEST = 2**64 - 1
EPILOG = """\
imagefolder:PATH is a folder, a zip or a tar (also .gz, .bz2, .xz), which is read without being unpacked. It has a
sub-folder of images for each class, or their labels in a file (--labels). Classes that are all numbers are in the order
of numbers, others in that of text. A folder around all others is passed through. What systems leave about (__MACOSX,
@eaDir, Thumbs.db, names that start with a dot) is left out, and so is each file that is no image; how many of which
class is said. docs/photographs-folders.md lists what becomes of folders as people have them.

examples:
  python -m train.prepare --source imagefolder:imagenet/train --resolution 128 --min-side 256 \\
      --colour-profile ignore --out data/imagenet-128
  python -m train.prepare --source imagefolder:photos.zip --resolution 64 --out data/photos-64
  python -m train.prepare --source imagefolder:dogs --labels dogs.csv --resolution 64 --out data/dogs-64
  python -m train.prepare --source torchvision:CIFAR10 --download --resolution 32 --out data/cifar10-32
  python -m train.prepare --source torchvision:STL10:/data --split unlabeled --resolution 48 --out data/stl10-48
  python -m train.prepare --source hf:zh-plus/tiny-imagenet --resolution 64 --out data/tiny-imagenet-64
  python -m train.prepare --source shapes:10 --resolution 32 --limit 20000 --out data/shapes-32

  python -m train.prepare --verify data/shapes-32

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
    add = p.add_argument
    add("--source", metavar="S", help=f"where images come from: {FORMS}")
    add("--resolution", type=int, metavar="PX", help="side of the result in pixels, integer")
    add("--out", type=_path, metavar="DIR", help="folder to be made; DIR.partial until it is whole")
    add(
        "--split",
        metavar="NAME",
        help="which part of the source (default: train; imagefolder: a folder in PATH, by default PATH itself)",
    )
    add(
        "--crop",
        metavar="C",
        help="center (square of the short side), center:PX (square of PX pixels in the "
        "middle) or none (default: center; CelebA: center:128)",
    )
    add(
        "--fit",
        choices=FITS,
        help="resize to the square, or pad: reduce if needed, never enlarge or "
        "stretch, black around it (default: resize; MNIST and FashionMNIST: pad)",
    )
    add(
        "--filter",
        choices=tuple(FILTERS),
        default="bilinear",
        metavar="F",
        help=f"how to resize: {', '.join(FILTERS)}; averages when reducing (default: bilinear, the official one)",
    )
    add(
        "--min-side",
        type=int,
        metavar="PX",
        help="images with a shorter side count as bad (default: the "
        "resolution for imagefolder and hf unless padded, else 1; officially 256 for ImageNet)",
    )
    add(
        "--on-bad-image",
        choices=("skip", "fail"),
        default="skip",
        help="unreadable, truncated, too small or too large: leave out and report, or stop (default: skip)",
    )
    add(
        "--colour-profile",
        choices=COLOUR_PROFILES,
        default="convert",
        help="embedded ICC profiles: convert to sRGB, as viewers do, or ignore them, officially (default: convert)",
    )
    add(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        metavar="N",
        help="larger images count as bad; each worker needs 5 to 10 bytes a pixel (default: %(default)s)",
    )
    add(
        "--limit",
        type=int,
        metavar="N",
        help="use N images, spread evenly over the classes (default: all; shapes: 10000)",
    )
    add("--unlabelled", action="store_true", help="leave classes out; an imagefolder needs no sub-folders then")
    add(
        "--labels",
        metavar="FILE",
        help="of an imagefolder: CSV with a header, JSON lines or StyleGAN's dataset.json, on disk or in PATH; or the "
        f"word {FOLDERS} (default: {', '.join(WELL_KNOWN)} or .cls files if they lie beside the images, else folders)",
    )
    add(
        "--label-column",
        metavar="NAME",
        help="where an hf source or a file of labels has them (default: its class labels; the column named label, "
        "class or the like)",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of drawn shapes, from 0 (default: 0)")
    add(
        "--workers",
        type=int,
        default=processors(),
        metavar="N",
        help="processes that decode (default: %(default)s, the processors of this machine)",
    )
    add("--download", action="store_true", help="let torchvision fetch what is missing (default: never)")
    add(
        "--report",
        type=_path,
        metavar="FILE",
        help="write an HTML page of what DIR holds: images a class, sizes, samples, duplicates, what was left out; "
        "also of a DIR that is already there",
    )
    add(
        "--verify",
        nargs="?",
        const=True,
        type=_path,
        metavar="DIR",
        help="read every byte of a prepared data set, say whether it is as it was made, and stop; without DIR that of "
        "an --out that is already there",
    )
    return p


def _path(text: str) -> Path:
    return Path(text).expanduser()


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the command line without the program's name, None for this process's own.
    Returns:
        Exit status: 0, 2 for a user's mistake, 130 after Ctrl-C.
    """
    p = parser()
    options = p.parse_args(arguments)
    command = f"{p.prog} {shlex.join(sys.argv[1:] if arguments is None else arguments)}"
    status = run_command(lambda: _prepare(options, command), DataError, name=f"{p.prog}: ")
    if status == 130:
        print(f"{p.prog}: interrupted; the same command goes on where it stopped", file=sys.stderr)
    return status


def _prepare(options: argparse.Namespace, command: str) -> None:
    # Here, for worker processes import this module anew, and pydantic would double their start.
    from train.config import TrainConfig
    from train.data.build import Request, build, report
    from train.data.dataset import PreparedDataset
    from train.data.remarks import remarks
    from train.data.report.page import check_path, write_report

    if isinstance(options.verify, Path):
        print(f"{report(PreparedDataset.open(options.verify, verify=True), True)}; every byte is as it was made")
        return
    _check(options)
    if options.report:
        check_path(options.report)
    asked = SourceRequest(**{field.name: getattr(options, field.name) for field in dataclasses.fields(SourceRequest)})
    source = open_source(asked)
    for remark in source.remarks:
        print(f"note: {printable(one_line(remark))}", file=sys.stderr)
    request = Request(asked, _fitting(options, source), options.on_bad_image)
    was_there = build(source, request, options.out, workers=options.workers)
    dataset = PreparedDataset.open(options.out, verify=was_there and options.verify is not None)
    print(report(dataset, was_there))
    for remark in remarks(dataset.info, TrainConfig()):
        print(f"note: {remark}", file=sys.stderr)
    if options.report:
        print(write_report(options.report, dataset, source, limit=asked.limit, command=command))


def _check(options: argparse.Namespace) -> None:
    """Check what is needed without --verify DIR, and the ranges, which argparse does not."""
    if missing := [f"--{name}" for name in ("source", "resolution", "out") if getattr(options, name) is None]:
        raise DataError(f"the following arguments are required: {', '.join(missing)}; or --verify DIR alone")
    for name, value, low, high in (
        ("--resolution", options.resolution, 4, MAX_RESOLUTION),
        ("--min-side", options.min_side, 1, None),
        ("--max-pixels", options.max_pixels, 1, None),
        ("--limit", options.limit, 1, None),
        ("--seed", options.seed, 0, None),
        ("--workers", options.workers, 1, None),
    ):
        if value is not None and (value < low or (high is not None and value > high)):
            raise DataError(f"{name} is {value}; allowed is {low} {f'to {high}' if high else 'or more'}")
        if value is not None and value > LARGEST:
            raise DataError(f"{name} is {value}; allowed is {LARGEST} at most, which dataset.json can hold")
    if not re.fullmatch("none|center(:0*[1-9][0-9]*)?", options.crop or "center"):
        raise DataError(f"--crop is {options.crop!r}; allowed are center, center:PX, none")


def _fitting(options: argparse.Namespace, source: Source) -> Fitting:
    """Fill what was not given from the source's defaults."""
    fit = options.fit or source.fit
    min_side_px = options.min_side or source.min_side_px or (1 if fit == "pad" else options.resolution)
    return Fitting(options.resolution, options.crop or source.crop, fit, options.filter, min_side_px)


if __name__ == "__main__":
    sys.exit(main())
