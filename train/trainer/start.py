"""How a run starts from a model: what fits is taken, rows of classes go by name, and the rest is made anew."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sngan_cond import Discriminator, Generator, GeneratorConfig
from sngan_cond.classes import name_key
from sngan_cond.hub.download import locate
from sngan_cond.hub.files import DISCRIMINATOR_FILE, TRAINING_FILE, WEIGHTS_FILE, PretrainedError
from sngan_cond.networks.layers import ConditionalBatchNorm2d
from sngan_cond.stored import read_json
from train.config import SHARED_KEYS
from train.errors import TrainError
from train.files import sha256, write_text_atomically
from train.run.checkpoint import STATE_FILE, StateFile
from train.stored import read_as

START_FILE = "init_from.json"
_STRUCTURE = ("resolution", "architecture", "latent_dim", "channels", "latent", "norm")
# Of a constraint: what weights are multiplied by; the rest only tells how they are trained.
_OF_WEIGHTS = ("kind", "estimate", "scale", "scale_spread", "scale_seed", "gamma", "features", "exclude")
_LISTED = 8  # names of classes in one line

State = Mapping[str, Tensor]
Sources = Sequence[int | None]


class StartModel(NamedTuple):
    """A model that a run starts from.

    Args:
        generator: its averaged weights, by name.
        discriminator: with its constraint, None where the model has none.
        facts: what the training record keeps: what was asked for, repo and commit, step, and the files' sha256.
    """

    config: GeneratorConfig
    generator: State
    discriminator: Discriminator | None
    facts: dict[str, Any]


def open_model(name: str, config: GeneratorConfig) -> StartModel:
    """Read the model that `init_from` names.

    Args:
        name: as for `Generator.from_pretrained`.
        config: of the run's generator, with which it must share all but its classes.
    Raises:
        TrainError: if it cannot be read, or does not fit.
    """
    try:
        files = locate(name, extras=(DISCRIMINATOR_FILE, TRAINING_FILE))
        G, step = Generator.from_files(files), files.step
        path = files.folder / DISCRIMINATOR_FILE
        D = Discriminator.from_files(files) if path.is_file() else None
    except PretrainedError as error:
        raise TrainError(f"init_from: {error}") from error
    _check_structure(name, G.config, config)
    sums = {file.name: sha256(file) for file in (files.folder / WEIGHTS_FILE, path) if file.is_file()}
    if (files.folder / STATE_FILE).is_file():
        state = read_as(StateFile, files.folder / STATE_FILE)
        for file, found in sums.items():
            state.check_file(files.folder / file, found)
    facts = {"source": name, "repo": files.repo, "commit": files.commit_hash, "step": step, "sha256": sums}
    return StartModel(G.config, G.state_dict(), D, facts)


def note_start(folder: Path, facts: dict[str, Any]) -> None:
    """Write down in a run's folder what it starts from; a start before the first checkpoint finds it again.

    Raises:
        TrainError: if the run began with other weights.
    """
    path = folder / START_FILE
    if path.exists():
        before = read_json(path, error=TrainError).get("sha256")
        if before != facts["sha256"]:
            raise TrainError(
                f"--run-dir {folder}: its run began with other weights behind init_from={facts['source']} "
                f"({START_FILE} has their sha256); give those, or another --run-dir"
            )
        return
    try:
        write_text_atomically(path, json.dumps(facts, indent=2) + "\n")
    except OSError as error:
        raise TrainError(f"{path}: cannot be written ({error.strerror})") from error


def start_from(model: StartModel, G: nn.Module, D: Discriminator, config: GeneratorConfig) -> list[str]:
    """Give fresh networks what fits of a model, in place.

    Args:
        G: of the same structure, its constraint attached.
        D: its constraint attached; left as it is where the model has none that fits.
        config: of G, with the names of its classes.
    Returns:
        A table, line by line, of what was taken, mapped and made anew.
    """
    facts = model.facts
    step = "" if facts["step"] is None else f", step {facts['step']}"
    sources = match_classes(model.config, config)
    classes = _say_classes(sources, config, model.config.num_classes)
    fresh = G.state_dict()
    rows = class_rows(G)
    state = {name for name in fresh if _plain(name) not in model.generator}
    old = {name: fresh[name] if name in state else model.generator[_plain(name)] for name in fresh}
    G.load_state_dict(take(old, fresh, rows, sources, model.config.num_classes))
    lines = [
        f"starting from {facts['source']}{step}, {WEIGHTS_FILE} of sha256 {facts['sha256'][WEIGHTS_FILE]:.12}:",
        _line("generator", "taken", len(fresh) - len(rows) - len(state), "tensors as they are"),
    ]
    if rows:
        lines.append(_line("generator", "by class", len(rows), classes))
    if state:
        lines.append(_line("generator", "anew", len(state), "its constraint's state, which no model keeps"))
    return [*lines, *_start_discriminator(model, D, sources, classes)]


def _start_discriminator(model: StartModel, D: Discriminator, sources: Sources, classes: str) -> list[str]:
    fresh, rows = D.state_dict(), class_rows(D)
    if model.discriminator is None:
        return [_line("discriminator", "anew", len(fresh), f"the model has no {DISCRIMINATOR_FILE}")]
    try:
        _check_alike(model.discriminator, D)
        D.load_state_dict(take(model.discriminator.state_dict(), fresh, rows, sources, model.config.num_classes))
    except ValueError as misfit:
        return [_line("discriminator", "anew", len(fresh), f"the model's does not fit: {misfit}")]
    lines = [_line("discriminator", "taken", len(fresh) - len(rows), "tensors as they are")]
    return [*lines, _line("discriminator", "by class", len(rows), classes)] if rows else lines


def match_classes(old: GeneratorConfig, new: GeneratorConfig) -> list[int | None]:
    """Return, for each class of a new model, the label of the old one's class of that name, or else WordNet id.

    Letter case, underscores and spaces around do not matter; a name that the old model has twice means none of the two.
    """
    by_name, by_id = _labels(old.class_names), _labels(old.class_ids)
    names, ids = (given or ("",) * new.num_classes for given in (new.class_names, new.class_ids))
    return [by_name.get(name_key(name), by_id.get(name_key(wnid))) for name, wnid in zip(names, ids, strict=True)]


def class_rows(network: nn.Module) -> set[str]:
    """Return the names of a network's tensors (K, ...) that have a row for each class, a constraint's among them."""
    found: set[str] = set()
    for prefix, layer in network.named_modules():
        if isinstance(layer, ConditionalBatchNorm2d):
            found |= {f"{prefix}.gain", f"{prefix}.bias"}
        elif isinstance(layer, nn.Embedding) or prefix == "head.classifier":
            # Under a constraint too: the left vector of an embedding or a linear layer has an entry for each row.
            found |= {f"{prefix}.{name}" for name, tensor in layer.state_dict().items() if tensor.ndim}
    return found


def map_rows(rows: Tensor, sources: Sources) -> Tensor:
    """Give each new class the row of its old one, or the mean of all rows.

    u goes the same way as the weight: u = W v / sigma, so that its entries mix as the rows do.

    Args:
        rows: (K_old, ...).
        sources: for each new class an old label, or None.
    Returns:
        (K_new, ...).
    """
    mean = rows.mean(dim=0)
    return torch.stack([mean if label is None else rows[label] for label in sources])


def take(old: State, new: State, rows: Collection[str], sources: Sources, num_classes: int) -> dict[str, Tensor]:
    """Return the tensors of an old network for a new one.

    Args:
        old: by name.
        new: by name, of the right shapes.
        rows: names of those with a row for each class.
        sources: as for `map_rows`.
        num_classes: of the old network.
    Raises:
        ValueError: naming the first tensor that is missing, unknown or of another shape.
    """
    if odd := sorted(old.keys() ^ new.keys()):
        raise ValueError(f"{odd[0]} is in {'the model' if odd[0] in old else 'the run'} alone")
    taken = {}
    for name, tensor in new.items():
        wanted = (num_classes, *tensor.shape[1:]) if name in rows else tuple(tensor.shape)
        if tuple(old[name].shape) != wanted:
            raise ValueError(f"{name} has shape {tuple(old[name].shape)}, {wanted} is allowed")
        value = old[name].to(tensor.dtype)  # before a mean is taken, which half floats would round
        taken[name] = map_rows(value, sources) if name in rows else value
    return taken


def _check_structure(name: str, old: GeneratorConfig, new: GeneratorConfig) -> None:
    unlike = [key for key in _STRUCTURE if getattr(old, key) != getattr(new, key)]
    if unlike:
        there, here = (", ".join(f"{key}={getattr(config, key)}" for key in unlike) for config in (old, new))
        fits = " ".join(f"{'' if key in SHARED_KEYS else 'generator.'}{key}={getattr(old, key)}" for key in unlike)
        raise TrainError(f"init_from={name}: its generator has {there}, this run asks for {here}; --set {fits} fits")
    if bool(old.num_classes) != bool(new.num_classes):
        raise TrainError(
            f"init_from={name}: its generator has num_classes={old.num_classes}, this run asks for "
            f"{new.num_classes}; both with classes, or both without, are allowed"
        )


def _check_alike(old: Discriminator, new: Discriminator) -> None:
    """Refuse weights that mean something else in the run's network, also where names and shapes are the same."""
    network = {field.name for field in fields(new.config)} - {"num_classes"}
    for there, here, keys in ((old.config, new.config, network), (old.constraint, new.constraint, _OF_WEIGHTS)):
        for key in sorted(keys):
            if (a := getattr(there, key)) != (b := getattr(here, key)):
                raise ValueError(f"{key}={a}, this run's is {b}")


def _plain(name: str) -> str:
    """Return what a tensor of a constrained generator is called once its constraint is folded."""
    return name.replace(".parametrizations.weight.original", ".weight")


def _labels(names: Sequence[str] | None) -> dict[str, int]:
    keys = [name_key(name) for name in names or ()]
    often = Counter(keys)
    return {key: label for label, key in enumerate(keys) if key and often[key] == 1}


def _say_classes(sources: Sources, config: GeneratorConfig, rows: int) -> str:
    names = config.class_names or tuple(map(str, range(config.num_classes)))
    known = [name for name, label in zip(names, sources, strict=True) if label is not None]
    new = [name for name, label in zip(names, sources, strict=True) if label is None]
    parts = [f"rows of their name or id for {_some(known)}"] if known else []
    return "; ".join([*parts, f"the mean of {rows} rows for {_some(new)}"] if new else parts)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"


def _line(network: str, how: str, count: int, words: str) -> str:
    return f"  {network:<13}  {how:<8}  {count:>4}  {words}"
