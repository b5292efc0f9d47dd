"""`python -m train.publish`: send a checkpoint of a run to the Hub, with its card, as one commit."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from sngan_cond import Generator
from sngan_cond.cli import OneLineParser
from sngan_cond.hub.files import BUNDLED, CARD_FILE, METRICS_FILE, PretrainedError, parse_repo, parse_revision
from sngan_cond.hub.upload import push_folder
from sngan_cond.hub.weights import read_json
from train.errors import TrainError
from train.evaluation.report import weights_sha256
from train.publishing.cards import GENERIC, load_facts
from train.publishing.export import commit_marker, commit_title, export_checkpoint, write_card
from train.publishing.log import PublishLog
from train.run.checkpoint import Checkpoint, checkpoint_folder, newest_checkpoint


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m train.publish",
        description="Send a checkpoint's averaged generator to the Hugging Face Hub, with its card, as one commit. "
        "Log in first: hf auth login, or HF_TOKEN.",
    )
    parser.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="folder of the run")
    parser.add_argument("--repo", metavar="USER/NAME", help="model repo; made if missing")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write the model folder here and send nothing (card for --repo or bundled)",
    )
    parser.add_argument("--branch", "--revision", metavar="NAME", help="made if missing (default: main)")
    parser.add_argument("--checkpoint", type=int, metavar="STEP", help="step (default: the newest whole checkpoint)")
    parser.add_argument("--private", action="store_true", help="a repo that is made is private (default: public)")
    parser.add_argument("--with-discriminator", action="store_true", help="also send discriminator.safetensors")
    parser.add_argument(
        "--metrics", type=Path, metavar="FILE", help="metrics.json of this checkpoint, from train.evaluate"
    )
    parser.add_argument(
        "--facts", type=Path, default=GENERIC, metavar="FILE", help="YAML for the card (default: a generic one)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent, and send nothing")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    args = _parser().parse_args(arguments)
    try:
        _publish(args)
    except (TrainError, PretrainedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _publish(args: argparse.Namespace) -> None:
    if args.repo is None and args.out is None:
        raise TrainError("--repo: is needed, user/name, or --out with a folder")
    repo = BUNDLED if args.repo is None else parse_repo(args.repo)
    if args.branch is not None:
        parse_revision(args.branch)
    if args.out is not None and args.out.exists():
        raise TrainError(f"--out {args.out}: exists already; a new folder is allowed")
    facts = load_facts(args.facts)
    checkpoint = _find(args.run_dir, args.checkpoint)
    with tempfile.TemporaryDirectory(prefix=".publish-", dir=args.run_dir) as holder:
        folder = Path(holder) / "model"
        export_checkpoint(
            checkpoint.folder,
            folder,
            run_dir=args.run_dir,
            metrics=args.metrics,
            with_discriminator=args.with_discriminator,
        )
        write_card(folder, repo=repo, facts=facts)
        _check_metrics(folder, Generator.from_pretrained(folder))  # what cannot be loaded is not published
        if args.dry_run:
            _show(folder, repo, checkpoint.step)
        elif args.out is not None:
            shutil.copytree(folder, args.out)
            print(f"step {checkpoint.step} written to {args.out}")
        else:
            _send(folder, checkpoint.step, args)


def _send(folder: Path, step: int, args: argparse.Namespace) -> None:
    # Also where the step is there already: its metrics may be new. Equal files make no commit.
    commit = push_folder(
        folder,
        args.repo,
        title=commit_title(step),
        description=commit_marker(folder),
        branch=args.branch,
        private=args.private,
    ).oid
    target = args.repo if args.branch is None else f"{args.repo}@{args.branch}"
    PublishLog(args.run_dir).note(target, step, str(commit))
    print(f"step {step} published to {target}, commit {commit}")


def _check_metrics(folder: Path, G: Generator) -> None:
    path = folder / METRICS_FILE
    measured = read_json(path).get("model", {}).get("weights_sha256") if path.exists() else None
    if measured is not None and measured != weights_sha256(G):
        raise TrainError(
            "--metrics: measured on other weights than this checkpoint's; evaluate it, or give --checkpoint"
        )


def _find(run_dir: Path, step: int | None) -> Checkpoint:
    root = run_dir / "checkpoints"
    if not root.is_dir():
        raise TrainError(f"--run-dir {run_dir}: no run there (it has no folder 'checkpoints')")
    if step is None:
        found = newest_checkpoint(root, lambda line: print(f"warning: {line}", file=sys.stderr))
        if found is None:
            raise TrainError(f"--run-dir {run_dir}: no whole checkpoint there yet")
        return found
    folder = checkpoint_folder(root, step)
    if not folder.is_dir():
        there = ", ".join(str(int(path.name.removeprefix("step-"))) for path in sorted(root.glob("step-*"))) or "none"
        raise TrainError(f"--checkpoint {step}: there is none of this step; there are {there}")
    return Checkpoint(folder, {"step": step})


def _show(folder: Path, repo: str, step: int) -> None:
    print(f"would send to {repo}, as one commit titled {commit_title(step)!r}:")
    for path in sorted(folder.iterdir()):
        print(f"  {path.name:28} {path.stat().st_size:>14,} bytes")
    print(f"\n{(folder / CARD_FILE).read_text(encoding='utf-8')}")


if __name__ == "__main__":
    sys.exit(main())
