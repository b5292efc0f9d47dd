"""`python -m train.analyze`: a page of a run or of several, their figures and the numbers in them."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from sngan_cond.cli import OneLineParser, run_command
from train.errors import TrainError
from train.files import write_text_atomically
from train.plotting import COLOURS

NUMBERS_FILE = "analysis.json"
MAX_RUNS = len(COLOURS)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m train.analyze",
        description="Write report.html of a run, one file that opens without a network: what was trained, samples over "
        "time, scores, the monitor's findings and figures. Its figures stand beside it (learning_curves.png, "
        "singular_values.png, spectral_norms.png; scores.png and health.png where there are such numbers), and what "
        f"they show in {NUMBERS_FILE}. The run may still be training.",
    )
    add = parser.add_argument
    add("--run-dir", type=Path, required=True, metavar="DIR", help="folder of the run")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for page and figures; made if missing")
    add(
        "--compare",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help=f"folders of up to {MAX_RUNS - 1} other runs to put beside it (default: none)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    args = _parser().parse_args(arguments)
    return run_command(lambda: _analyze(args.run_dir, args.compare, args.out), TrainError)


def _analyze(run_dir: Path, compare: list[Path], out: Path) -> None:
    folders = labelled([run_dir, *compare])
    if out.exists() and not out.is_dir():  # said before minutes of decompositions
        raise TrainError(f"--out {out}: is a file; a folder, there or not yet, is allowed")

    # After the flags are checked: importing torch and matplotlib takes seconds.
    from train.analysis.figures import draw_figures
    from train.analysis.measure import measure_run
    from train.analysis.report import write_report

    arguments = ["--run-dir"] + ["--compare"] * len(compare)
    runs = {
        label: measure_run(folder, argument)
        for (label, folder), argument in zip(folders.items(), arguments, strict=True)
    }
    numbers = {label: asdict(run) for label, run in runs.items()}
    for plain in numbers.values():
        del plain["config"]
    try:
        figures = draw_figures(runs, out)
        write_text_atomically(out / NUMBERS_FILE, json.dumps(numbers, indent=1, allow_nan=False) + "\n")
        report = write_report(runs, folders, figures, out)
    except OSError as error:
        raise TrainError(f"--out {out}: cannot be written ({error.strerror})") from error
    for label, run in runs.items():
        newest = run.spectral_norms[-1]
        norms = [layer.effective for layer in newest.layers.values()]
        low, high = min(norms), max(norms)
        print(f"{label}: step {newest.step:,}, spectral norms of {len(norms)} layers {low:.4g} to {high:.4g}")
    print(f"written to {out}: {', '.join([report, *(figure.name for figure in figures), NUMBERS_FILE])}")


def labelled(folders: list[Path]) -> dict[str, Path]:
    """Label each run with its folder's name, or all with their paths if two names are equal.

    Args:
        folders: of the runs, the first from --run-dir.
    Raises:
        TrainError: if there are too many, or one is given twice.
    """
    if len(folders) > MAX_RUNS:
        raise TrainError(f"--compare: {len(folders) - 1} runs given, at most {MAX_RUNS - 1} are allowed")
    resolved = [folder.resolve() for folder in folders]
    for i, folder in enumerate(resolved):
        if folder in resolved[:i]:
            raise TrainError(f"--compare {folders[i]}: given already; runs that differ are allowed")
    names = [folder.name for folder in resolved]
    labels = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    return dict(zip(labels, folders, strict=True))


if __name__ == "__main__":
    sys.exit(main())
