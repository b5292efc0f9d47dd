"""What each verb of the `sngan-cond` command does with its arguments; each returns the text to print."""

import json
import math
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from huggingface_hub.utils.tqdm import disable_progress_bars
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from sngan_cond import sampling
from sngan_cond.classes import class_label, resolve_class, search_classes
from sngan_cond.config import GeneratorConfig
from sngan_cond.convert import generator_from_chainer
from sngan_cond.export import CHECKED_BATCHES, ONNX, PROGRAM, TOLERANCE, check_path, export_onnx, export_program
from sngan_cond.flags import MAX_IMAGES
from sngan_cond.inputs import Inputs, mixture_inputs, morph_inputs, sample_inputs, walk_inputs
from sngan_cond.latents import check_seed, check_truncation
from sngan_cond.loading import LoadedModel, load_generator
from sngan_cond.networks.generator import Generator
from sngan_cond.outputs import Destination
from sngan_cond.validation import one_line, printable

ALL = "all"  # what `--class` calls every class
_LISTED = 8  # class names and metrics in one text
_LONGEST = 400  # characters of one value that `info` shows
_BAR_AFTER_S = 1.0


def sample(args: Namespace) -> str:
    """Write images of each class."""
    output = _output(args)
    G = _load(args)
    chosen = _distinct(G.config, _every(G.config, args.classes))
    if G.config.num_classes and not chosen:
        raise ValueError(
            f"--class is missing: this model has {G.config.num_classes} classes, such as "
            f"{_plain(class_label(G.config, 0))!r}; name at least one (an index, a name or a WordNet id), or {ALL!r}"
        )
    if args.n * len(chosen) > MAX_IMAGES:
        count = f"{args.n * len(chosen):,} images of {len(chosen)} classes"
        raise ValueError(f"-n {args.n}: {count}; up to {MAX_IMAGES:,} in all are allowed")
    labels = [label for label in chosen for _ in range(args.n)] or None
    inputs = sample_inputs(G, classes=labels, n=None if labels else args.n, seed=args.seed, truncation=args.truncation)
    return _write(args, output, G, inputs, chosen, columns=args.n if len(chosen) > 1 and args.n > 1 else None)


def morph(args: Namespace) -> str:
    """Write an interpolation from one class to another."""
    output = _output(args, moves=True)
    G = _load(args)
    ends = [resolve_class(G.config, text) for text in (args.from_class, args.to_class)]
    drawing = {"steps": args.steps, "seed": args.seed, "truncation": args.truncation}
    inputs = morph_inputs(G, from_class=ends[0], to_class=ends[1], **drawing)
    return _write(args, output, G, inputs, ends, columns=args.steps)


def walk(args: Namespace) -> str:
    """Write an interpolation from one latent to another."""
    check_seed(args.to_seed, "to_seed")
    output = _output(args, moves=True)
    G = _load(args)
    if G.config.num_classes and args.in_class is None:
        raise ValueError(f"--class is missing: name one of this model's {G.config.num_classes} classes to walk in")
    in_class = None if args.in_class is None else resolve_class(G.config, args.in_class)
    drawing = {"steps": args.steps, "seed": args.seed, "truncation": args.truncation}
    inputs = walk_inputs(G, in_class=in_class, to_seed=args.to_seed, **drawing)
    return _write(args, output, G, inputs, [] if in_class is None else [in_class], columns=args.steps)


def mixture(args: Namespace) -> str:
    """Write images of a mixture of classes."""
    given = args.weights or [1.0] * len(args.classes)
    if len(given) != len(args.classes):
        raise ValueError(f"--weight: {len(given)} numbers for {len(args.classes)} classes; one for each is allowed")
    output = _output(args)
    G = _load(args)
    chosen = _distinct(G.config, args.classes)
    weights = dict(zip(chosen, given, strict=True))
    inputs = mixture_inputs(G, weights=weights, n=args.n, seed=args.seed, truncation=args.truncation)
    return _write(args, output, G, inputs, chosen)


def classes(args: Namespace) -> str:
    """List a model's classes: index, WordNet id where there are any, and name, between tabs."""
    config = _model(args).generator.config
    if not config.num_classes:
        raise ValueError(f"--model {args.model}: this model has no classes")
    word = args.search
    labels = range(config.num_classes) if word is None else search_classes(config, word, limit=config.num_classes)
    if not labels:
        raise ValueError(f"--search {_plain(word)!r}: none of this model's {config.num_classes} classes is like it")
    columns = [texts for texts in (config.class_ids, config.class_names) if texts is not None]
    return "\n".join("\t".join([str(label), *(_plain(texts[label]) for texts in columns)]) for label in labels)


def convert(args: Namespace) -> str:
    """Turn an official snapshot into a model folder."""
    G = generator_from_chainer(args.chainer)
    G.save_pretrained(args.out)
    return f"{args.out}: generator, {_size(G)}, from {args.chainer}"


def export(args: Namespace) -> str:
    """Write a model for other programs."""
    suffix, write = {"onnx": (ONNX, export_onnx), "torch-export": (PROGRAM, export_program)}[args.to]
    check_path(args.out, suffix)
    G = _model(args).generator
    worst = write(G, args.out, args.half, inputs=args.inputs)
    size = f"{'float16' if args.half else 'float32'}, {args.out.stat().st_size / 1e6:.1f} MB"
    return (
        f"{args.out}: generator, {_size(G)}, {size}; in batches of {' and '.join(map(str, CHECKED_BATCHES))} its "
        f"images differ from the model's by at most {worst:.1e} ({TOLERANCE[args.half]} is allowed)"
    )


def info(args: Namespace) -> str:
    """Say what a model is and what its files hold."""
    loaded = _model(args)
    if args.card:
        return _card(loaded)
    lines = [f"{_plain(loaded.source)}: generator, {_size(loaded.generator)}"]
    if loaded.commit_hash is not None:
        lines.append(f"commit: {loaded.commit_hash}")
    for name, value in loaded.generator.config.to_dict().items():
        lines.append(f"{name}: {_shortened(value)}")
    lines += _contents("metrics.json", loaded.metrics)
    lines += _contents("training.json", loaded.training)
    card = [line for line in (loaded.card or "").splitlines() if line.strip()]
    lines.append(f"README.md: {len(card)} lines" if card else "README.md: none")
    lines.append(f"samples.png: {'none' if loaded.samples is None else loaded.samples}")
    return "\n".join(lines)


def _output(args: Namespace, *, moves: bool = False) -> Destination:
    return Destination(path=args.out, moves=moves, columns=args.columns, single=args.single)


def _load(args: Namespace) -> Generator:
    """Check what can be checked without the model, then load it."""
    check_seed(args.seed)
    check_truncation(args.truncation)
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
            raise ValueError(f"--class {_plain(str(given))}: this class is named twice")
        labels[label] = given
    return list(labels)


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
    names = [_plain(class_label(G.config, label)) for label in rows[:_LISTED]]
    names += [f"{len(rows) - _LISTED:,} more"] if len(rows) > _LISTED else []
    of = f" of {', '.join(names)}" if names else ""
    return f"{output.path}: {count} image{'' if count == 1 else 's'}{of}, {side_px} px, seed {args.seed}"


def _names(args: Namespace, rows: Sequence[int], count: int) -> Iterator[str]:
    """Yield what the single images are called."""
    each = count // max(1, len(rows)) if args.verb == "sample" else count
    digits = max(4, len(str(each - 1)))
    for i in range(count):
        kind = args.verb if args.verb != "sample" else f"class-{rows[i // each]:04d}" if rows else ""
        yield f"{kind}{'-' if kind else ''}seed-{args.seed}-{i % each:0{digits}d}"


def _with_bar(batches: Iterable[Tensor], count: int, *, quiet: bool) -> Iterator[Tensor]:
    """Show a bar on standard error where that is a terminal and the work lasts."""
    hidden = True if quiet else None  # None leaves it to tqdm, which asks whether it is a terminal
    with tqdm(total=count, unit="image", delay=_BAR_AFTER_S, leave=False, disable=hidden, file=sys.stderr) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))


def _size(G: Generator) -> str:
    config = G.config
    parameters = sum(parameter.numel() for parameter in G.parameters())
    classes = f"{config.num_classes} classes" if config.num_classes else "no classes"
    return f"{config.architecture}, {config.resolution} px, {classes}, {parameters:,} parameters"


def _card(loaded: LoadedModel) -> str:
    if not loaded.card:
        raise ValueError(f"--card: {_plain(loaded.source)} has no README.md")
    return "\n".join(printable(line.expandtabs()) for line in loaded.card.rstrip().splitlines())


def _contents(file: str, values: dict[str, Any] | None) -> list[str]:
    """List what a JSON file holds: a line a key, or a line a metric with its protocol and extractor."""
    if values is None:
        return [f"{file}: none"]
    rows = values.get("metrics")
    if isinstance(rows, list):
        return [f"{file}: {len(rows)} metrics", *(f"  {_shortened(row)}" for row in rows[:_LISTED])]
    return [f"{file}:", *(f"  {_plain(key)}: {_shortened(value)}" for key, value in values.items())]


def _shortened(value: object) -> str:
    """Write a value on one line."""
    if isinstance(value, list) and len(value) > _LISTED:
        return f"{_shortened(value[:_LISTED])} and {len(value) - _LISTED:,} more"
    return _plain(json.dumps(value, ensure_ascii=False))


def _plain(text: str) -> str:
    """Return text that anybody may have written as one short line, without the terminal's control characters."""
    return one_line(printable(one_line(text)), _LONGEST, more="…")
