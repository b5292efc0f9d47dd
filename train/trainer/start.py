"""How a run starts from a model: what fits is taken, rows of classes go by name, and the rest is made anew."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from sngan_cond import Discriminator, Generator, GeneratorConfig
from sngan_cond.classes import class_label, name_key
from sngan_cond.hub.download import locate
from sngan_cond.hub.files import DISCRIMINATOR_FILE, TRAINING_FILE, WEIGHTS_FILE, ModelFiles, PretrainedError
from sngan_cond.hub.weights import shape_of
from sngan_cond.stored import read_json
from train.config import SHARED_KEYS
from train.errors import TrainError
from train.files import sha256, write_text_atomically
from train.run.checkpoint import STATE_FILE, state_of
from train.sections import ClassChoices
from train.trainer.matching import Match, Sources, match_classes, match_networks, place, take

START_FILE = "init_from.json"
_TRIES = 3  # to read a run that removes its checkpoints meanwhile
_STRUCTURE = ("resolution", "architecture", "latent_dim", "channels", "latent", "norm")
_MAY_DIFFER = ("resolution", "channels")  # where blocks have the same shapes all the same
# Heads behind one and the same trunk.
_HEADS_APART = ("unconditional", "projection", "auxiliary_classifier")
# Of a constraint: what weights are multiplied by; the rest only tells how they are trained.
_OF_WEIGHTS = ("kind", "estimate", "scale", "scale_spread", "scale_seed", "gamma", "features", "exclude")
_LISTED = 8  # names of classes in one line


class StartModel(NamedTuple):
    """A model that a run starts from.

    Args:
        generator: with its averaged weights.
        discriminator: with its constraint, None where the model has none.
        sources: for each class of the run, the model's labels that it starts from.
        facts: what the training record keeps: what was asked for, repo and commit, step, and the files' sha256.
    """

    generator: Generator
    discriminator: Discriminator | None
    sources: Sources
    facts: dict[str, Any]


class Started(NamedTuple):
    """What networks took from a model.

    Args:
        table: line by line, what was taken, made anew and left.
        generator: names of the stages that were taken.
        discriminator: likewise.
    """

    table: list[str]
    generator: list[str]
    discriminator: list[str]


def open_model(name: str, config: GeneratorConfig, choices: ClassChoices | None = None) -> StartModel:
    """Read the model that `init_from` names.

    A run may still train in the folder: its checkpoints never change, but go one day. One that went while it was read
    is left for the newest of that moment.

    Args:
        name: as for `Generator.from_pretrained`.
        config: of the run's generator, whose blocks must fit.
        choices: as `init_classes`.
    Raises:
        TrainError: if it cannot be read, or does not fit.
    """
    for _ in range(_TRIES):
        try:
            files = locate(name, extras=(DISCRIMINATOR_FILE, TRAINING_FILE))
        except PretrainedError as error:
            raise TrainError(f"init_from: {error}") from error
        try:
            model = _read(files, config, choices or {})
        except TrainError:
            if files.folder.is_dir():
                raise
            continue
        if files.folder.is_dir():  # or else D may have gone before it was looked for
            return model
    raise TrainError(f"init_from={name}: its files were removed while they were read; a model that stays is allowed")


def note_start(folder: Path, facts: dict[str, Any]) -> str | None:
    """Write down in a run's folder what it starts from.

    Returns:
        What is to be said if a start that was killed before the first checkpoint began with other weights, as where the
        model still trains: nothing is left of it.
    Raises:
        TrainError: if the disk refuses.
    """
    path, said = folder / START_FILE, None
    if path.exists():
        before = read_json(path, error=TrainError)
        if before.get("sha256") == facts["sha256"]:
            return None
        said = (
            f"note: the start before, which came to no checkpoint, began with other weights behind "
            f"init_from={facts['source']}: step {before.get('step')}, now step {facts['step']}"
        )
    try:
        write_text_atomically(path, json.dumps(facts, indent=2) + "\n")
    except OSError as error:
        raise TrainError(f"{path}: cannot be written ({error.strerror})") from error
    return said


def start_from(model: StartModel, G: nn.Module, D: Discriminator, config: GeneratorConfig) -> Started:
    """Give fresh networks what fits of a model, in place.

    Args:
        G: its constraint attached.
        D: its constraint attached; left as it is where the model has none that fits.
        config: of G, with the names of its classes.
    """
    facts, old_D = model.facts, model.discriminator
    step = "" if facts["step"] is None else f", step {facts['step']}"
    head = f"starting from {facts['source']}{step}, {WEIGHTS_FILE} of sha256 {facts['sha256'][WEIGHTS_FILE]:.12}:"
    classes = _say_classes(model.sources, model.generator.config, config)
    of_g = match_networks(model.generator, G)
    take(model.generator, G, of_g, model.sources)
    table = [head, *_table("generator", of_g, G, classes)]
    try:
        of_d = match_discriminators(old_D, D)
    except ValueError as misfit:
        return Started([*table, _line("discriminator", "anew", len(D.state_dict()), str(misfit))], [*of_g.stages], [])
    assert old_D is not None
    take(old_D, D, of_d, model.sources)
    return Started([*table, *_table("discriminator", of_d, D, classes)], [*of_g.stages], [*of_d.stages])


def match_discriminators(old: Discriminator | None, new: Discriminator) -> Match:
    """Find what a discriminator takes of a model's.

    Args:
        old: None where the model has none.
        new: of the run; its weights need neither values nor the parametrisations of its constraint.
    Raises:
        ValueError: saying why it takes nothing, also where weights mean something else there.
    """
    if old is None:
        raise ValueError(f"the model has no {DISCRIMINATOR_FILE}")
    heads_apart = {old.config.head, new.config.head} <= {*_HEADS_APART}
    network = {field.name for field in fields(new.config)} - {"num_classes", *_MAY_DIFFER, *["head"] * heads_apart}
    for there, here, keys in ((old.config, new.config, network), (old.constraint, new.constraint, _OF_WEIGHTS)):
        for key in sorted(keys):
            if (a := getattr(there, key)) != (b := getattr(here, key)):
                raise ValueError(f"the model's does not fit: {key}={a}, this run's is {b}")
    match = match_networks(old, new)
    if not match.has_blocks:
        raise ValueError("the model's does not fit: no block has the same shapes")
    return match


def _read(files: ModelFiles, config: GeneratorConfig, choices: ClassChoices) -> StartModel:
    path = files.folder / DISCRIMINATOR_FILE
    try:
        G, step = Generator.from_files(files), files.step
        _check_structure(files.source, G, config)
        D = Discriminator.from_files(files) if path.exists() else None
        sums = {file.name: sha256(file) for file in (files.folder / WEIGHTS_FILE, *([path] if D else []))}
    except PretrainedError as error:
        raise TrainError(f"init_from: {error}") from error
    except OSError as error:
        raise TrainError(f"init_from: {error.filename}: cannot be read ({error.strerror})") from error
    try:
        sources = match_classes(G.config, config, choices)
    except ValueError as error:
        raise TrainError(f"init_classes.{error}") from error
    if (files.folder / STATE_FILE).is_file():
        state = state_of(files.folder)
        for name, found in sums.items():
            state.check_file(files.folder / name, found)
    facts = {"source": files.source, "repo": files.repo, "commit": files.commit_hash, "step": step, "sha256": sums}
    return StartModel(G, D, sources, facts)


def _check_structure(name: str, G: Generator, config: GeneratorConfig) -> None:
    unlike = [key for key in _STRUCTURE if getattr(G.config, key) != getattr(config, key)]
    may_fit = {*unlike} <= {*_MAY_DIFFER}
    if not unlike or (may_fit and _has_blocks_of(G, config)):
        return
    there, here = (", ".join(f"{key}={getattr(one, key)}" for key in unlike) for one in (G.config, config))
    if may_fit and _has_blocks_of(G, replace(config, channels=G.config.channels)):
        unlike = ["channels"]
    fits = " ".join(f"{'' if key in SHARED_KEYS else 'generator.'}{key}={getattr(G.config, key)}" for key in unlike)
    raise TrainError(f"init_from={name}: its generator has {there}, this run asks for {here}; --set {fits} fits")


def _has_blocks_of(G: Generator, config: GeneratorConfig) -> bool:
    return match_networks(G, shape_of(Generator, config)).has_blocks


def _table(network: str, match: Match, new: nn.Module, classes: str) -> Iterator[str]:
    """Yield what a network took, made anew and left, a line each."""
    by_class = sum(part.by_class for part, _ in match.pairs)
    averaged = sum(source.by_class and not part.by_class for part, source in match.pairs)
    as_it_is = len(match.pairs) - by_class - averaged
    fresh = len(new.state_dict()) - len(match.pairs) - sum(match.anew.values())
    yield _line(network, "taken", as_it_is, f"as they are: {_list_stages(match.stages.items())}")
    for how, count, words in (
        ("by class", by_class, classes),
        ("averaged", averaged, "over the model's classes, since the run has none"),
        ("anew", sum(match.anew.values()), _list_stages((stage, stage) for stage in match.anew)),
        ("anew", fresh, "its constraint's state"),
        ("left", sum(match.left.values()), f"of the model's: {_list_stages((stage, stage) for stage in match.left)}"),
    ):
        if count:
            yield _line(network, how, count, words)


def _line(network: str, how: str, count: int, words: str) -> str:
    return f"  {network:<13}  {how:<8}  {count:>4}  {words}"


def _list_stages(stages: Iterable[tuple[str, str]]) -> str:
    """Name stages, each with the model's, as in "linear, blocks.1-3 from its blocks.0-2"."""
    runs: list[list[tuple[str, str]]] = []
    for pair in stages:
        if runs and all(_follows(*both) for both in zip(runs[-1][-1], pair, strict=True)):
            runs[-1].append(pair)
        else:
            runs.append([pair])
    named = [[_name_run(run[0][i], run[-1][i]) for i in (0, 1)] for run in runs]
    return ", ".join(mine if mine == theirs else f"{mine} from its {theirs}" for mine, theirs in named)


def _follows(stage: str, other: str) -> bool:
    a, b = place(stage), place(other)
    return a is not None and b == (a[0], a[1] + 1)


def _name_run(first: str, last: str) -> str:
    name = first if first.startswith("head.") else first.partition(".")[2] or first
    return name if first == last else f"{name}-{last.rpartition('.')[2]}"


def _say_classes(sources: Sources, old: GeneratorConfig, new: GeneratorConfig) -> str:
    if not old.num_classes:
        return "each class what the model, which has none, has for all"
    names = new.class_names or tuple(map(str, range(new.num_classes)))
    own, others, unknown = [], [], []
    for name, labels in zip(names, sources, strict=True):
        theirs = [class_label(old, label) for label in labels]
        if old.class_names and [name_key(old.class_names[label]) for label in labels] == [name_key(name)]:
            own.append(name)
        elif theirs:
            others.append(f"{name} from {'the mean of ' * (len(theirs) > 1)}{' and '.join(theirs)}")
        else:
            unknown.append(name)
    parts = [f"rows of their names for {_some(own)}"] if own else []
    parts += [_some(others)] if others else []
    return "; ".join([*parts, f"the mean of {old.num_classes} rows for {_some(unknown)}"] if unknown else parts)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"
