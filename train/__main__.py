"""`accelerate launch -m train`: read the flags, resolve the preset, train."""

import argparse
import gc
import os
import signal
import sys
from pathlib import Path

from train.run.allocator import reexec_with_fast_allocator

if __name__ == "__main__":  # before torch is imported
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `main`: the imports would end in a traceback
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # where a process is lost, a sentence says so; no C++ frames
    reexec_with_fast_allocator("train")

from sngan_cond.cli import OneLineParser, exit_status, print_text
from train.cli import add_overrides
from train.data.dataset import count_classes
from train.errors import TrainError
from train.explain import explain
from train.presets.load import load_config, preset_names, preset_notes, preview, to_yaml

SICK = 3  # exit status of a run that ended, not being asked to, while its monitor's findings stood


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=f"{'accelerate launch' if 'ACCELERATE_MIXED_PRECISION' in os.environ else 'python'} -m train",
        description="Train a class-conditional GAN; the same command continues a run that was stopped or killed.",
    )
    add = parser.add_argument
    add("--preset", metavar="NAME|FILE", help="a preset's name, or a YAML file")
    add("--run-dir", type=Path, metavar="DIR", help="where the run is kept")
    add_overrides(parser, "override keys of the preset, dotted, e.g. --set batch_total=64 optim_g.lr=1e-4")
    add(
        "--dry-run",
        action="store_true",
        help="print the resolved configuration, with what the preset says of itself as comments, and stop",
    )
    add(
        "--start-anew",
        action="store_true",
        help="where a run has lost its checkpoints, begin at step 0; what is left of it is moved to DIR/lost-1. A run "
        "that has a whole checkpoint goes on",
    )
    add("--verify-data", action="store_true", help="read every byte of the prepared data set first, however large")
    add(
        "--explain",
        nargs="?",
        const="",
        metavar="KEY",
        help="print what a key or a section of the configuration means and takes, or list all, and stop; with --preset "
        "or --set their values too",
    )
    parser.epilog = "--explain lists every key. Presets: " + ", ".join(
        name for name in preset_names() if "/" not in name
    )
    return parser


def _explanation(args: argparse.Namespace) -> str:
    """Return what `--explain` prints, with the values of a preset and of `--set` where they are given."""
    flags = [f"--preset {args.preset}"] * (args.preset is not None) + ["--set"] * bool(args.overrides)
    if not flags:
        return explain(args.explain)
    values = preview(args.preset, args.overrides, count_classes=count_classes)
    return explain(args.explain, values, flags=" ".join(flags))


def main(arguments: list[str] | None = None) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = _parser()
    args = parser.parse_args(arguments)
    try:  # and not by `run_command`: who follows an update from here to the power iteration reads ten functions
        if args.explain is not None:
            print_text(_explanation(args))
            return 0
        if args.preset is None:
            parser.error("--preset: a preset's name or a YAML file is needed, for example --preset shapes_32")
        if args.dry_run:
            head = "".join(f"# {line}".rstrip() + "\n" for line in preset_notes(args.preset))
            values = preview(args.preset, args.overrides, count_classes=count_classes)
            print_text((head + to_yaml(values)).removesuffix("\n"))
            return 0
        config = load_config(args.preset, args.overrides, count_classes=count_classes)
        if args.run_dir is None:
            parser.error("--run-dir: a folder is needed, for example --run-dir runs/a")
        from train.trainer.loop import train  # after the flags are checked: importing torch takes seconds

        end = train(config, args.run_dir, start_anew=args.start_anew, verify_data=args.verify_data)
    except (KeyboardInterrupt, TrainError, OSError) as error:
        return exit_status(error)
    gc.collect()  # of several processes: gloo's threads end with the networks, and may not outlive the interpreter
    return SICK if end.sick else 0


if __name__ == "__main__":
    sys.exit(main())
