"""`python -m train.evaluate`: score a model under a named protocol, or compare results."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from train.run.allocator import reexec_with_fast_allocator

if __name__ == "__main__":
    reexec_with_fast_allocator("train.evaluate")  # before torch is imported

from sngan_cond.cli import OneLineParser, run_command
from train.cli import DEVICES, check_device, check_writable
from train.errors import EvaluationError, TrainError
from train.evaluation.metrics import METRICS, metrics_named
from train.evaluation.names import EXTRACTORS
from train.evaluation.protocols import PROTOCOLS, protocol_named

if TYPE_CHECKING:
    import torch
    from accelerate import PartialState

_PROCESS_TIMEOUT_S = 300.0  # for which one of several processes may be silent

EPILOG = """examples:
  python -m train.evaluate --model user/name --data data/imagenet-128 --protocol paper --out metrics.json
  python -m train.evaluate --model runs/a/checkpoints/step-00010000 --data data/cifar10-32 --protocol quick \\
      --extractor efficientnet-lite0 --out metrics.json
  accelerate launch -m train.evaluate --model M --data data/imagenet-128 --protocol intra_class --out metrics.json
  python -m train.evaluate --model M --data data/cifar10-32 --protocol 50k --metrics frechet precision_recall \\
      --seeds 3 --truncation-curve 0.5 0.7 1.0 none --out curve.json
  python -m train.evaluate --compare a.json b.json

After a stop, the same command resumes at the first unfinished class (intra_class). Features of the real images are
cached between evaluations; they are used again only if data, counts and extractor are the same to the last bit."""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    p = OneLineParser(
        prog="python -m train.evaluate",
        description="Score a model under a named protocol with a declared feature extractor.",
        epilog=EPILOG + "\n\nprotocols:\n" + "\n".join(f"  {p.name}: {p.source}" for p in PROTOCOLS.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = p.add_argument
    add("--compare", nargs="+", type=Path, metavar="FILE", help="print results side by side, and do nothing else")
    add("--model", metavar="M", help="user/name, user/name@revision, a folder, or bundled")
    add("--data", metavar="DIR", help="prepared data set of real images, from train.prepare")
    add("--protocol", metavar="NAME", help=", ".join(PROTOCOLS))
    add("--out", type=Path, metavar="FILE", help="metrics.json to write")
    add(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help=f"what to measure (default: the protocol's own): {', '.join(METRICS)}",
    )
    add(
        "--extractor",
        default="inception-v3-compat",
        metavar="NAME",
        help=f"{', '.join(EXTRACTORS)} (default: the first; efficientnet-lite0 is a stand-in, never called fid)",
    )
    add(
        "--weights",
        metavar="FILE",
        help="the extractor's weights (default: torch hub's cache or the installed package; nothing is downloaded)",
    )
    add("--weights-sha256", metavar="HEX", help="refuse weights with another checksum (default: accept any)")
    add("--classifier", metavar="FILE", help="from train.evaluation.classifier; adds classifier_accuracy")
    add(
        "--test",
        metavar="DIR",
        help="prepared test set; adds classification_accuracy_score: train on samples, test on it",
    )
    add(
        "--nearest",
        type=Path,
        metavar="PNG",
        help="picture to draw of the samples closest to real images, beside these; adds authenticity",
    )
    add("--fakes", type=int, metavar="N", help="fewer generated images; the protocol is then called NAME(reduced)")
    add("--reals", type=int, metavar="N", help="another number of real images; renames the protocol too")
    add("--seed", type=int, default=0, metavar="N", help="seed of latents and labels, from 0 (default 0)")
    add(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="mean and spread over N sample sets, from --seed on (default 1)",
    )
    add(
        "--truncation",
        type=float,
        metavar="T",
        help="redraw components of z beyond T standard deviations, from 0.05 (default: plain latents, which published "
        "scores use; other programs mean other things by this word)",
    )
    add(
        "--truncation-curve",
        nargs="+",
        metavar="T",
        help="score under each of these thresholds, none for plain latents; writes --out, and a PNG beside it",
    )
    add("--batch", type=int, default=64, metavar="N", help="images at once on each process (default 64)")
    add("--device", default="auto", metavar="NAME", help=DEVICES)
    add("--cache", type=Path, metavar="DIR", help="for features of real images (default: below ~/.cache)")
    add("--no-cache", action="store_true", help="neither use nor write cached features")
    add("--no-progress", action="store_true", help="show no progress bars")
    return p


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    args = parser().parse_args(arguments)
    return run_command(lambda: _compare(args.compare) if args.compare is not None else _evaluate(args), TrainError)


def _compare(paths: list[Path]) -> None:
    from train.evaluation.compare import compare

    print(compare(paths))


def _evaluate(args: argparse.Namespace) -> None:
    for name in ("model", "data", "protocol", "out"):
        if getattr(args, name) is None:
            raise EvaluationError(f"--{name}: is needed")
    protocol_named(args.protocol).reduced(fakes=args.fakes, reals=args.reals)
    metrics_named(args.metrics or ())
    check_writable(args.out)
    if args.nearest is not None:
        if args.nearest.resolve() == args.out.resolve():
            raise EvaluationError(f"--nearest {args.nearest}: the file of --out; another is allowed")
        check_writable(args.nearest, "--nearest")
    _check_curve(args)

    from train.run.watch import Watch  # after the flags are checked: importing torch takes seconds

    state, device = _join_processes(args.device)
    with Watch(state, longest_s=_PROCESS_TIMEOUT_S) as watch:
        _score(args, state, device, before_collective=watch.meet)
    state.destroy_process_group()


def _check_curve(args: argparse.Namespace) -> None:
    """Raise where a curve is asked for that cannot be written, or with a flag that means one report."""
    if args.truncation_curve is None:
        return
    for flag in ("truncation", "nearest"):
        if (value := getattr(args, flag)) is not None:
            raise EvaluationError(f"--{flag} {value}: not allowed with --truncation-curve")
    if args.out.suffix == ".png":
        raise EvaluationError(f"--out {args.out}: the figure's name; another ending is allowed with --truncation-curve")
    check_writable(args.out.with_suffix(".png"))


def _score(
    args: argparse.Namespace, state: "PartialState", device: "torch.device", *, before_collective: Callable[[], None]
) -> None:
    """Evaluate, write and print, in each of the processes."""
    from sngan_cond.hub.files import PretrainedError
    from sngan_cond.loading import load_generator
    from train.data.dataset import PreparedDataset
    from train.evaluation.checks import check_held_out
    from train.evaluation.classes import remove_class_files
    from train.evaluation.curve import Curve, thresholds_named, truncation_curve
    from train.evaluation.distributed import Processes
    from train.evaluation.job import open_evaluation
    from train.evaluation.measure import evaluate
    from train.evaluation.nearest import draw_nearest
    from train.evaluation.real_features import default_cache
    from train.evaluation.report import Report
    from train.sections import EvaluationConfig

    dataset = PreparedDataset.open(args.data, verify=state.is_main_process)  # hashing it once is enough
    try:
        model = load_generator(args.model)
    except PretrainedError as error:
        raise EvaluationError(f"--model: {error}") from error
    if args.nearest is not None:
        args.metrics = [*(args.metrics or protocol_named(args.protocol).metrics), "authenticity"]
    asked = {field.name: getattr(args, field.name, None) for field in fields(EvaluationConfig)}
    job = open_evaluation(
        EvaluationConfig(**{name: value for name, value in asked.items() if value is not None}),
        dataset,
        device=device,
        weights_sha256=args.weights_sha256,
        seed=args.seed,
        truncation=args.truncation,
        cache=None if args.no_cache else args.cache or default_cache(),
        processes=Processes(state, before_collective),
        progress=not args.no_progress,
    )
    check_held_out(job, dataset, "--data")
    work_dir = args.out.with_name(args.out.name + ".classes")
    generator, options = model.generator.to(device), {"model": model.public_name, "work_dir": work_dir}
    if args.truncation_curve is None:
        report: Report | Curve = evaluate(job, generator, **options)
    else:
        report = truncation_curve(job, generator, thresholds_named(args.truncation_curve), **options)
    if state.is_main_process:
        try:
            report.write(args.out)
            if isinstance(report, Curve):
                report.draw(args.out.with_suffix(".png"))
        except EvaluationError as error:
            raise EvaluationError(f"--out {error}") from error
        if args.nearest is not None:
            draw_nearest(job, generator, report, args.nearest)
        remove_class_files(work_dir)
        print("\n".join(report.lines()))


def _join_processes(device: str) -> "tuple[PartialState, torch.device]":
    """Return the launched program's processes, and this one's device; "auto" and "cuda" leave its choice to them."""
    import torch
    from accelerate.utils import parse_flag_from_env

    from train.run.launch import join_processes, set_num_threads

    check_device(device)
    on_cpu = device == "cpu" or not torch.accelerator.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
    state = join_processes(_PROCESS_TIMEOUT_S, on_cpu=on_cpu)
    chosen = torch.device(state.device if device in ("auto", "cuda") else device)
    set_num_threads(chosen)
    return state, chosen


if __name__ == "__main__":
    sys.exit(main())
