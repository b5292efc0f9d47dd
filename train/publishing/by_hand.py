"""What `python -m train.publish` does: one checkpoint of a run, sent to the Hub or written to a folder."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sngan_cond.atomic import atomic_folder
from sngan_cond.hub.checkpoints import CHECKPOINTS_FOLDER
from sngan_cond.hub.files import CARD_FILE, parse_repo, parse_revision
from sngan_cond.hub.upload import push_folder
from sngan_cond.loading import LoadedModel, load_generator
from sngan_cond.validation import short_repr
from train.errors import TrainError
from train.evaluation.report import weights_sha256
from train.files import lock, sync
from train.publishing.cards import GENERIC, Facts, load_facts, with_licence
from train.publishing.export import commit_message, export_checkpoint, write_card
from train.publishing.log import PublishLog
from train.run.checkpoint import checkpoint_folder, newest_checkpoint, saved_steps

_WORKSPACE, _LOCK = ".publish-", "lock"


def publish(args: argparse.Namespace) -> None:
    """Send, write or show the checkpoint that the flags of `train.publish` name.

    Raises:
        TrainError: if a flag, the run or its metrics do not fit.
        PretrainedError: if the model cannot be loaded, or the Hub refuses.
    """
    if args.repo is None and args.out is None:
        raise TrainError("--repo: is needed, user/name, or --out with a folder")
    repo = args.out.name if args.repo is None else parse_repo(args.repo)
    if args.branch is not None:
        if args.repo is None:
            raise TrainError(f"--branch {args.branch}: allowed with --repo")
        parse_revision(args.branch)
    if args.out is not None and args.out.exists():
        raise TrainError(f"--out {args.out}: exists already; a new folder is allowed")
    facts = _facts(args)
    checkpoint, step = _find(args.run_dir, args.checkpoint)
    with _workspace(args.run_dir) as workspace:
        folder = workspace / "model"
        export_checkpoint(
            checkpoint, folder, run_dir=args.run_dir, metrics=args.metrics, with_discriminator=args.with_discriminator
        )
        write_card(folder, repo=repo if args.branch is None else f"{repo}@{args.branch}", facts=facts)
        _check_metrics(load_generator(folder))  # what cannot be loaded is not published
        if args.dry_run:
            _show(folder, repo, step)
        elif args.out is not None:
            _copy(folder, args.out)
            print(f"step {step} written to {args.out}")
        else:
            _send(folder, step, args)


@contextmanager
def _workspace(run_dir: Path) -> Iterator[Path]:
    """Make a folder for as long as the block lasts; those of killed processes, which hold no lock, are removed."""
    for left in run_dir.glob(f"{_WORKSPACE}*"):
        with suppress(OSError):
            if (released := lock(left / _LOCK)) is not None:
                released.release()
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=_WORKSPACE, dir=run_dir) as workspace:
        held = lock(Path(workspace, _LOCK))
        try:
            yield Path(workspace)
        finally:
            if held is not None:
                held.release()


def _copy(folder: Path, target: Path) -> None:
    """Copy a folder's files, which share their bytes with the run's, to a folder that appears whole and on the disk."""
    with atomic_folder(target) as draft:
        for path in folder.iterdir():
            shutil.copyfile(path, draft / path.name)
        for path in (*draft.iterdir(), draft):
            sync(path)
    sync(target.parent)


def _facts(args: argparse.Namespace) -> Facts:
    facts = load_facts(args.facts or GENERIC)
    if args.license is not None:
        return with_licence(facts, args.license, name=args.license_name, link=args.license_link)
    for flag, value in (("name", args.license_name), ("link", args.license_link)):
        if value is not None:
            raise TrainError(f"--license-{flag} {value}: allowed with --license other")
    return facts


def _send(folder: Path, step: int, args: argparse.Namespace) -> None:
    title, marker = commit_message(folder, step)
    # Also where the step is there already: its metrics may be new. Equal files make no commit.
    commit = push_folder(
        folder, args.repo, title=title, description=marker, branch=args.branch, private=args.private
    ).oid
    target = args.repo if args.branch is None else f"{args.repo}@{args.branch}"
    PublishLog(args.run_dir).note(target, step, str(commit))
    print(f"step {step} published to {target}, commit {commit}")


def _check_metrics(model: LoadedModel) -> None:
    measured = (model.metrics or {}).get("model", {})
    if not isinstance(measured, dict):
        raise TrainError(f"--metrics: model is {short_repr(measured)}; allowed is an object, as of train.evaluate")
    if measured.get("weights_sha256") not in (None, weights_sha256(model.generator)):
        raise TrainError(
            "--metrics: measured on other weights than this checkpoint's; evaluate it, or give --checkpoint"
        )


def _find(run_dir: Path, step: int | None) -> tuple[Path, int]:
    root = run_dir / CHECKPOINTS_FOLDER
    if not root.is_dir():
        raise TrainError(f"--run-dir {run_dir}: no run there (it has no folder {CHECKPOINTS_FOLDER!r})")
    if step is None:
        found = newest_checkpoint(root, lambda line: print(f"warning: {line}", file=sys.stderr))
        if found is None:
            raise TrainError(f"--run-dir {run_dir}: no whole checkpoint there yet")
        return found.folder, found.step
    folder = checkpoint_folder(root, step)
    if not folder.is_dir():
        there = ", ".join(map(str, saved_steps(root))) or "none"
        raise TrainError(f"--checkpoint {step}: there is none of this step; there are {there}")
    return folder, step


def _show(folder: Path, repo: str, step: int) -> None:
    print(f"would send to {repo}, as one commit titled {commit_message(folder, step)[0]!r}:")
    for path in sorted(folder.iterdir()):
        print(f"  {path.name:28} {path.stat().st_size:>14,} bytes")
    print(f"\n{(folder / CARD_FILE).read_text(encoding='utf-8')}")
