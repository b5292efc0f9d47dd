"""What each verb of the `sngan-cond` command does with its arguments; each returns the text to print."""

import json
import math
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import torch

from sngan_cond import sampling
from sngan_cond.atomic import atomic_folder
from sngan_cond.classes import class_label, resolve_class
from sngan_cond.config import GeneratorConfig
from sngan_cond.convert import generator_from_chainer
from sngan_cond.images import check_grid, save_animation, save_png, to_grid
from sngan_cond.inputs import sample_inputs
from sngan_cond.latents import check_seed, check_truncation
from sngan_cond.loading import load_generator
from sngan_cond.networks.generator import Generator
from sngan_cond.validation import check, one_line

MAX_IMAGES = 1_000_000  # in one call: keeps a slip of the finger from filling a disk
MAX_STEPS = 10_000  # of a morph, which is held in memory
_LISTED = 8  # class names and metrics that `info` shows
_LONGEST = 400  # characters of one value that `info` shows


def sample(args: Namespace) -> str:
    """Write a grid with one row per class, or a folder of single images."""
    n, out = args.n, args.out
    if n < 1 or n * len(args.classes or [""]) > MAX_IMAGES:
        raise ValueError(f"--n {n}: from 1, and with all classes up to {MAX_IMAGES} images, are allowed")
    is_grid = out.suffix.lower() == ".png"
    if (out.suffix and not is_grid and not out.is_dir()) or (is_grid and out.is_dir()):
        raise ValueError(f"--out {out}: a file ending in .png for a grid, or a folder for single images, is allowed")
    G = _load(args)
    chosen = _resolve(G.config, args.classes)
    labels = None if chosen is None else [label for label in chosen for _ in range(n)]
    count = n if labels is None else len(labels)
    columns = math.ceil(math.sqrt(n)) if chosen is None else n
    if is_grid:
        check_grid(count, side_px=G.config.resolution, columns=columns)
    inputs = sample_inputs(G, classes=labels, n=None if labels else n, seed=args.seed, truncation=args.truncation)
    batches = sampling.generate(G, *inputs, batch_size=args.batch_size)
    out.parent.mkdir(parents=True, exist_ok=True)
    if is_grid:
        save_png(to_grid(torch.cat(list(batches)), columns=columns), out)
    else:
        prefixes = ["" if labels is None else f"class-{label:04d}-" for label in labels or range(n)]
        names = [f"{prefix}seed-{args.seed}-{i % n:04d}.png" for i, prefix in enumerate(prefixes)]
        with atomic_folder(out) as draft:
            for image, name in zip((image for batch in batches for image in batch), names, strict=True):
                save_png(image, draft / name)
    return f"{out}: {count} images{_of(G.config, chosen)}, {G.config.resolution} px, seed {args.seed}"


def morph(args: Namespace) -> str:
    """Write an interpolation from one class to another."""
    steps, out = args.steps, args.out
    kind = out.suffix.lower()
    if kind not in (".gif", ".webp", ".png") or out.is_dir():
        raise ValueError(f"--out {out}: a file ending in .gif, .webp or .png is allowed")
    if not 2 <= steps <= MAX_STEPS:
        raise ValueError(f"--steps {steps}: an integer from 2 to {MAX_STEPS} is allowed")
    G = _load(args)
    first, last = (resolve_class(G.config, text) for text in (args.from_class, args.to_class))
    if kind == ".png":
        check_grid(steps, side_px=G.config.resolution, columns=steps)
    out.parent.mkdir(parents=True, exist_ok=True)
    drawing = {"seed": args.seed, "truncation": args.truncation, "batch_size": args.batch_size}
    images = sampling.morph(G, from_class=first, to_class=last, steps=steps, **drawing)
    if kind == ".png":
        save_png(to_grid(images, columns=steps), out)
    else:
        save_animation(images, out)
    return f"{out}: {steps} images{_of(G.config, [first, last])}, {G.config.resolution} px, seed {args.seed}"


def convert(args: Namespace) -> str:
    """Turn an official snapshot into a model folder."""
    G = generator_from_chainer(args.chainer)
    G.save_pretrained(args.out)
    return f"{args.out}: generator, {_size(G)}, from {args.chainer}"


def info(args: Namespace) -> str:
    """Say what a model is and what its files hold."""
    loaded = load_generator(args.model)
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


def _load(args: Namespace) -> Generator:
    """Check what can be checked without the model, then load it."""
    check_seed(args.seed)
    check_truncation(args.truncation)
    check("batch_size", args.batch_size, sampling.BatchSize | None)
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: there is no CUDA device here; cpu or auto is allowed")
    target = ("cuda" if torch.cuda.is_available() else "cpu") if args.device == "auto" else args.device
    return load_generator(args.model).generator.to(target)


def _resolve(config: GeneratorConfig, classes: Sequence[str] | None) -> list[int] | None:
    if config.num_classes and not classes:
        raise ValueError(
            f"--class is missing: this model has {config.num_classes} classes, such as "
            f"{_plain(class_label(config, 0))!r}; name at least one (an index, a name or a WordNet id)"
        )
    return None if not classes else [resolve_class(config, text) for text in classes]


def _of(config: GeneratorConfig, rows: Sequence[int] | None) -> str:
    names = [_plain(class_label(config, label)) for label in rows or ()]
    return f" of {', '.join(names)}" if names else ""


def _size(G: Generator) -> str:
    config = G.config
    parameters = sum(parameter.numel() for parameter in G.parameters())
    classes = f"{config.num_classes} classes" if config.num_classes else "no classes"
    return f"{config.architecture}, {config.resolution} px, {classes}, {parameters:,} parameters"


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
    flat = "".join(character if character.isprintable() else "?" for character in one_line(text))
    return one_line(flat, _LONGEST, more="…")
