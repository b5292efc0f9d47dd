"""What each verb of the `sngan-cond` command does with its arguments; each returns the text to print."""

import math
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from huggingface_hub.utils.tqdm import disable_progress_bars
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from sngan_cond import describing, sampling
from sngan_cond.ancestry import canonical_name
from sngan_cond.blends import class_blend
from sngan_cond.classes import class_label, resolve_class, search_classes
from sngan_cond.config import GeneratorConfig
from sngan_cond.convert import generator_from_chainer
from sngan_cond.describing import plain
from sngan_cond.export import CHECKED_BATCHES, ONNX, PROGRAM, TOLERANCE, check_path, export_onnx, export_program
from sngan_cond.flag_groups import DEFAULT_COUNT, MAX_IMAGES
from sngan_cond.inputs import (
    Inputs,
    cross_inputs,
    mixture_inputs,
    morph_inputs,
    sample_inputs,
    vary_inputs,
    walk_inputs,
)
from sngan_cond.latents import check_seed, check_truncation
from sngan_cond.loading import LoadedModel, load_generator
from sngan_cond.networks.generator import Generator
from sngan_cond.outputs import Destination
from sngan_cond.validation import check_fraction

ALL = "all"  # what `--class` calls every class
_BAR_AFTER_S = 1.0


def sample(args: Namespace) -> str:
    """Write images of each class."""
    output, drawing, n = _output(args), _drawing(args), _count(args)
    G = _load(args)
    chosen = _distinct(G.config, _every(G.config, args.classes))
    if G.config.num_classes and not chosen:
        raise ValueError(
            f"--class is missing: this model has {G.config.num_classes} classes, such as "
            f"{plain(class_label(G.config, 0))!r}; name at least one (an index, a name or a WordNet id), or {ALL!r}"
        )
    if n * len(chosen) > MAX_IMAGES:
        count = f"{n * len(chosen):,} images of {len(chosen)} classes"
        raise ValueError(f"-n {n}: {count}; up to {MAX_IMAGES:,} in all are allowed")
    labels = [label for label in chosen for _ in range(n)] or None
    inputs = sample_inputs(G, classes=labels, n=None if labels else n, **drawing)
    return _write(args, output, G, inputs, chosen, columns=n if len(chosen) > 1 and n > 1 else None)


def morph(args: Namespace) -> str:
    """Write an interpolation from one class to another."""
    output, drawing = _output(args, moves=True), _drawing(args)
    G = _load(args)
    ends = [resolve_class(G.config, text) for text in (args.from_class, args.to_class)]
    inputs = morph_inputs(G, from_class=ends[0], to_class=ends[1], steps=args.steps, **drawing)
    return _write(args, output, G, inputs, ends, columns=args.steps)


def walk(args: Namespace) -> str:
    """Write an interpolation from one latent to another."""
    check_seed(args.to_seed, "to_seed")
    output, drawing = _output(args, moves=True), _drawing(args)
    G = _load(args)
    chosen = _blended(G.config, "--class", args.in_class, " to walk in")
    inputs = walk_inputs(G, in_class=args.in_class, to_seed=args.to_seed, steps=args.steps, **drawing)
    return _write(args, output, G, inputs, chosen, columns=args.steps)


def mixture(args: Namespace) -> str:
    """Write images of a mixture of classes."""
    given = args.weights or [1.0] * len(args.classes)
    if len(given) != len(args.classes):
        raise ValueError(f"--weight: {len(given)} numbers for {len(args.classes)} classes; one for each is allowed")
    output, drawing, n = _output(args), _drawing(args), _count(args)
    G = _load(args)
    chosen = _distinct(G.config, args.classes)
    inputs = mixture_inputs(G, weights=dict(zip(chosen, given, strict=True)), n=n, **drawing)
    return _write(args, output, G, inputs, chosen)


def vary(args: Namespace) -> str:
    """Write images near one."""
    check_fraction("radius", args.radius)
    canonical_name(args.latent, "--latent")
    output = _output(args)
    G = _load(args)
    chosen = _blended(G.config, "--class", args.in_class)
    drawing = {"latent": args.latent, "radius": args.radius, "n": args.n, "seed": args.seed}
    return _write(args, output, G, vary_inputs(G, in_class=args.in_class, **drawing), chosen)


def cross(args: Namespace) -> str:
    """Write the images between two, by latent and by class."""
    for flag, name in (("--latent", args.latent), ("--to-latent", args.to_latent)):
        canonical_name(name, flag)
    output = _output(args)
    G = _load(args)
    ends = {"--class": args.in_class, "--to-class": args.to_class}
    chosen = [label for flag, given in ends.items() for label in _blended(G.config, flag, given)]
    drawing = {"latent": args.latent, "to_latent": args.to_latent, "steps": args.steps}
    inputs = cross_inputs(G, in_class=args.in_class, to_class=args.to_class, **drawing)
    return _write(args, output, G, inputs, list(dict.fromkeys(chosen)), columns=args.steps if chosen else 1)


def classes(args: Namespace) -> str:
    """List a model's classes: index, WordNet id where there are any, and name, between tabs."""
    config = _model(args).generator.config
    if not config.num_classes:
        raise ValueError(f"--model {args.model}: this model has no classes")
    word = args.search
    labels = range(config.num_classes) if word is None else search_classes(config, word, limit=config.num_classes)
    if not labels:
        raise ValueError(f"--search {plain(word)!r}: none of this model's {config.num_classes} classes is like it")
    columns = [texts for texts in (config.class_ids, config.class_names) if texts is not None]
    return "\n".join("\t".join([str(label), *(plain(texts[label]) for texts in columns)]) for label in labels)


def convert(args: Namespace) -> str:
    """Turn an official snapshot into a model folder."""
    G = generator_from_chainer(args.chainer)
    G.save_pretrained(args.out)
    return f"{args.out}: generator, {describing.size(G)}, from {args.chainer}"


def export(args: Namespace) -> str:
    """Write a model for other programs."""
    suffix, write = {"onnx": (ONNX, export_onnx), "torch-export": (PROGRAM, export_program)}[args.to]
    check_path(args.out, suffix)
    G = _model(args).generator
    worst = write(G, args.out, args.half, inputs=args.inputs)
    network, megabytes = describing.size(G), args.out.stat().st_size / 1e6
    return (
        f"{args.out}: generator, {network}, {'float16' if args.half else 'float32'}, {megabytes:.1f} MB; in batches of "
        f"{' and '.join(map(str, CHECKED_BATCHES))} its images differ from the model's by at most {worst:.1e} "
        f"({TOLERANCE[args.half]} is allowed)"
    )


def info(args: Namespace) -> str:
    """Say what a model is and what its files hold."""
    loaded = _model(args)
    if args.card:
        return describing.card(loaded)
    lines = [f"{plain(loaded.source)}: generator, {describing.size(loaded.generator)}"]
    if loaded.commit_hash is not None:
        lines.append(f"commit: {loaded.commit_hash}")
    for name, value in loaded.generator.config.to_dict().items():
        lines.append(f"{name}: {describing.shortened(value)}")
    lines += describing.contents("metrics.json", loaded.metrics)
    lines += describing.contents("training.json", loaded.training)
    card = [line for line in (loaded.card or "").splitlines() if line.strip()]
    lines.append(f"README.md: {len(card)} lines" if card else "README.md: none")
    lines.append(f"samples.png: {'none' if loaded.samples is None else loaded.samples}")
    return "\n".join(lines)


def _output(args: Namespace, *, moves: bool = False) -> Destination:
    return Destination(path=args.out, moves=moves, columns=args.columns, single=args.single)


def _drawing(args: Namespace) -> dict[str, Any]:
    """Return what says which latents, as far as it can be checked without the model."""
    if args.latent is not None:
        canonical_name(args.latent, "--latent")
        # Of a walk, the latent at the end is drawn all the same.
        replaced = {"seed": args.seed} | ({} if args.verb == "walk" else {"truncation": args.truncation})
        for name, value in replaced.items():
            if value is not None:
                raise ValueError(f"--{name} {value} with --latent {plain(args.latent)}: one of them is allowed")
    check_truncation(args.truncation)
    return {"seed": args.seed, "truncation": args.truncation, "latent": args.latent}


def _count(args: Namespace) -> int:
    """Return how many images are asked for."""
    if args.latent is not None and args.n not in (None, 1):
        raise ValueError(f"-n {args.n} with --latent {plain(args.latent)}: a latent has one image; 1 is allowed")
    return int(args.n or (DEFAULT_COUNT if args.latent is None else 1))


def _load(args: Namespace) -> Generator:
    """Check what can be checked without the model, then load it."""
    if getattr(args, "seed", None) is not None:
        check_seed(args.seed)
    if args.batch_size is not None:
        sampling.check_batch_size(args.batch_size)
    return _model(args, torch_dtype=getattr(torch, args.dtype), device=_device(args)).generator


def _model(args: Namespace, **options: Any) -> LoadedModel:
    if args.quiet:
        disable_progress_bars()  # of downloads
    return load_generator(args.model, **options)


def _device(args: Namespace) -> str:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    name = args.device if args.device != "auto" else "cuda" if there["cuda"] else "cpu"
    if not there[name]:
        raise ValueError(
            f"--device {name}: there is none here; auto or {' or '.join(d for d in there if there[d])} is allowed"
        )
    if (name, args.dtype) == ("mps", "float64"):
        raise ValueError("--dtype float64: not on mps, which computes in float32, bfloat16 and float16")
    return name


def _every(config: GeneratorConfig, texts: Sequence[str] | None) -> Sequence[str | int]:
    """Return the classes that were asked for, with all of the model's in place of `ALL`."""
    if texts == [ALL] and config.num_classes:
        return range(config.num_classes)
    return texts or []


def _distinct(config: GeneratorConfig, classes: Sequence[str | int]) -> list[int]:
    """Find classes that must be different ones."""
    labels = dict[int, str | int]()
    for given in classes:
        label = resolve_class(config, given)
        if label in labels:
            raise ValueError(f"--class {plain(str(given))}: this class is named twice")
        labels[label] = given
    return list(labels)


def _blended(config: GeneratorConfig, flag: str, given: str | None, purpose: str = "") -> list[int]:
    """Find the labels of a class, or of a blend."""
    if given is not None:
        return list(class_blend(config, given))
    if config.num_classes:
        raise ValueError(f"{flag} is missing: name one of this model's {config.num_classes} classes{purpose}")
    return []


def _write(
    args: Namespace,
    output: Destination,
    G: Generator,
    inputs: Inputs,
    rows: Sequence[int],
    *,
    columns: int | None = None,
) -> str:
    """Generate and write images, and say what they are.

    Args:
        rows: labels of the classes.
        columns: of a grid; None makes it nearly square.
    """
    z, y = inputs
    count, side_px = len(z), G.config.resolution
    columns = columns or math.isqrt(count - 1) + 1
    output.check(count, side_px=side_px, columns=columns)
    batches = _with_bar(sampling.generate(G, z, y, batch_size=args.batch_size), count, quiet=args.quiet)
    output.write(batches, count=count, side_px=side_px, columns=columns, y=y, names=_names(args, rows, count))
    names = [plain(class_label(G.config, label)) for label in rows[: describing.LISTED]]
    names += [f"{len(rows) - describing.LISTED:,} more"] if len(rows) > describing.LISTED else []
    of = f" of {', '.join(names)}" if names else ""
    return f"{output.path}: {count} image{'' if count == 1 else 's'}{of}, {side_px} px, {_drawn(args)}"


def _drawn(args: Namespace) -> str:
    """Say where the latents are from."""
    given = vars(args)
    names = [f"latent {plain(given[key])}" for key in ("latent", "to_latent") if given.get(key) is not None]
    has_seed = "seed" in given and (args.latent is None or args.verb == "vary")
    return ", ".join([*names, f"seed {args.seed or 0}"] if has_seed else names)


def _names(args: Namespace, rows: Sequence[int], count: int) -> Iterator[str]:
    """Yield what the single images are called."""
    each = count // max(1, len(rows)) if args.verb == "sample" else count
    digits = max(4, len(str(each - 1)))
    drawn = f"seed-{args.seed or 0}" if args.latent is None else "latent"  # whose name is no name of a file
    for i in range(count):
        kind = args.verb if args.verb != "sample" else f"class-{rows[i // each]:04d}" if rows else ""
        yield f"{kind}{'-' if kind else ''}{drawn}-{i % each:0{digits}d}"


def _with_bar(batches: Iterable[Tensor], count: int, *, quiet: bool) -> Iterator[Tensor]:
    """Show a bar on standard error where that is a terminal and the work lasts."""
    hidden = True if quiet else None  # None leaves it to tqdm, which asks whether it is a terminal
    with tqdm(total=count, unit="image", delay=_BAR_AFTER_S, leave=False, disable=hidden, file=sys.stderr) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))
