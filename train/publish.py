"""`python -m train.publish`: send a checkpoint of a run to the Hub, with its card, as one commit."""

import argparse
import sys
from pathlib import Path

from sngan_cond.cli import OneLineParser, run_command


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m train.publish",
        description="Send a checkpoint's averaged generator to the Hugging Face Hub, with its card, as one commit. "
        "Log in first: hf auth login, or HF_TOKEN.",
    )
    add = parser.add_argument
    add("--run-dir", type=Path, required=True, metavar="DIR", help="folder of the run")
    add("--repo", metavar="USER/NAME", help="model repo; made if missing")
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help="write the model folder here and send nothing (its card is for --repo, or the folder's name)",
    )
    add("--branch", "--revision", metavar="NAME", help="made if missing (default: main)")
    add("--checkpoint", type=int, metavar="STEP", help="step (default: the newest whole checkpoint)")
    add("--private", action="store_true", help="a repo that is made is private (default: public)")
    add("--with-discriminator", action="store_true", help="also send discriminator.safetensors")
    add("--metrics", type=Path, metavar="FILE", help="metrics.json of this checkpoint, from train.evaluate")
    add("--facts", type=Path, metavar="FILE", help="YAML for the card (default: a generic one)")
    add("--license", metavar="ID", help="the Hub's id of the licence, such as mit (default: the facts' or the run's)")
    add("--license-name", metavar="NAME", help="with --license other: what the licence is called")
    add("--license-link", metavar="URL", help="with --license other: https address of its text")
    add("--dry-run", action="store_true", help="print what would be sent, and send nothing")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    args = _parser().parse_args(arguments)
    from sngan_cond.hub.files import PretrainedError  # after the flags are checked: importing torch takes seconds
    from train.errors import TrainError
    from train.publishing.by_hand import publish

    return run_command(lambda: publish(args), (TrainError, PretrainedError))


if __name__ == "__main__":
    sys.exit(main())
