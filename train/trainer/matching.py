"""What one network can take from another: stages of the same shapes, and rows of classes by class."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sngan_cond import GeneratorConfig
from sngan_cond.classes import name_key, resolve_class
from sngan_cond.networks.layers import ConditionalBatchNorm2d
from train.sections import ClassChoices

# One name for what means the same with and without a constraint, and with and without classes.
_SAME = (
    (re.compile(r"\.parametrizations\.(weight|bias)\.original$"), r".\1"),
    (re.compile(r"\.gain$"), ".weight"),
    (re.compile(r"\.norm\.(running_mean|running_var|num_batches_tracked)$"), r".\1"),
)
_OF_CONSTRAINT = ".parametrizations."  # what still has this in its name then

Sources = Sequence[tuple[int, ...]]  # for each class of a run the model's labels whose mean it takes; none: of all


class Part(NamedTuple):
    """A tensor of a network.

    Args:
        shape: without the axis of classes.
        by_class: whether it has a row for each class.
        is_weight: whether its stage is nothing without it.
    """

    name: str
    shape: tuple[int, ...]
    by_class: bool
    is_weight: bool


class Match(NamedTuple):
    """What a network takes from another one.

    Args:
        pairs: its tensors, each with the other's.
        stages: its stages that are taken, to the other's.
        anew: its other stages, to how many tensors each has.
        left: likewise, the other's stages that are not taken.
    """

    pairs: list[tuple[Part, Part]]
    stages: dict[str, str]
    anew: dict[str, int]
    left: dict[str, int]

    @property
    def has_blocks(self) -> bool:
        """Whether a block is taken, and not only outermost layers."""
        return any(place(stage) for stage in self.stages)


def match_networks(old: nn.Module, new: nn.Module) -> Match:
    """Find the stages of one network that fit another, perhaps of another resolution.

    A stage is a block, or a layer outside of all blocks; it is taken whole or not at all. Blocks are paired as counted
    from the first or from the last, whichever way more weights have the same shapes. Of one base width, ResNets of two
    resolutions are alike counted from the image; where it halves as the resolution doubles, at features of one side.

    Args:
        old: plain, or with the new one's constraint.
    """
    matches = [_match(old, new, from_last=from_last) for from_last in (False, True)]
    state = new.state_dict()
    return max(matches, key=lambda match: sum(state[part.name].numel() for part, _ in match.pairs))


def take(old: nn.Module, new: nn.Module, match: Match, sources: Sources) -> None:
    """Give a network, in place, what matches of another one.

    Where the other has no classes, each class takes what it has for all; without classes, the mean of all rows.

    Args:
        sources: as for `map_rows`.
    """
    theirs, mine = old.state_dict(), new.state_dict()
    taken = {}
    for part, source in match.pairs:
        value = theirs[source.name].to(mine[part.name].dtype)  # before a mean is taken, which half floats would round
        if part.by_class:
            value = map_rows(value if source.by_class else value[None], sources)
        elif source.by_class:
            value = value.mean(dim=0)
        taken[part.name] = value
    new.load_state_dict(taken, strict=False)


def map_rows(rows: Tensor, sources: Sources) -> Tensor:
    """Give each new class the mean of the rows of its old ones.

    u goes the same way as the weight: u = W v / sigma, so that its entries mix as the rows do.

    Args:
        rows: (K_old, ...).
        sources: for each new class its old labels; none for the mean of all rows.
    Returns:
        (K_new, ...).
    """
    return torch.stack([(rows[list(labels)] if labels else rows).mean(dim=0) for labels in sources])


def match_classes(old: GeneratorConfig, new: GeneratorConfig, choices: ClassChoices) -> Sources:
    """Return, for each class of a new model, the labels of the old one's that it starts from.

    They are the chosen ones, or else that of the same name, or else of the same WordNet id. Letter case, underscores
    and spaces around do not matter; a name that the old model has twice means none of the two.

    Args:
        choices: as `init_classes` of a run.
    Raises:
        ValueError: if a class there is unknown, or chosen for twice.
    """
    by_name, by_id = _labels(old.class_names), _labels(old.class_ids)
    names, ids = (given or ("",) * new.num_classes for given in (new.class_names, new.class_ids))
    found = (by_name.get(name_key(name), by_id.get(name_key(wnid))) for name, wnid in zip(names, ids, strict=True))
    sources = [() if label is None else (label,) for label in found]
    chosen_for: dict[int, str] = {}
    for name, chosen in choices.items():
        label = _resolve(new, name, f"{name}, of this run")
        if chosen_for.setdefault(label, name) != name:
            raise ValueError(f"{name}: the same class as {chosen_for[label]}; each is allowed once")
        sources[label] = tuple(_resolve(old, one, f"{name}, of the model") for one in chosen)
    return sources


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


def place(stage: str) -> tuple[str, int] | None:
    """Return the list that a block is in and its index there, None for a layer outside of all lists."""
    blocks, _, index = stage.rpartition(".")
    return (blocks, int(index)) if index.isdecimal() else None


def _match(old: nn.Module, new: nn.Module, *, from_last: bool) -> Match:
    theirs, mine = _stages(old), _stages(new)
    counts, wanted = [Counter(at[0] for stage in stages if (at := place(stage))) for stages in (theirs, mine)]
    pairs: list[tuple[Part, Part]] = []
    taken: dict[str, str] = {}
    for stage, parts in mine.items():
        partner = stage
        if from_last and (at := place(stage)):
            partner = f"{at[0]}.{at[1] + counts[at[0]] - wanted[at[0]]}"
        if found := _pairs(theirs.get(partner, {}), parts):
            pairs += found
            taken[stage] = partner
    anew = {stage: len(parts) for stage, parts in mine.items() if stage not in taken}
    left = {stage: len(parts) for stage, parts in theirs.items() if stage not in taken.values()}
    return Match(pairs, taken, anew, left)


def _stages(network: nn.Module) -> dict[str, dict[str, Part]]:
    """Return each stage's tensors, by what they are called within it whatever the constraint and the classes."""
    rows, weights = class_rows(network), {name for name, _ in network.named_parameters()}
    stages: dict[str, dict[str, Part]] = defaultdict(dict)
    for name, tensor in network.state_dict().items():
        parts = name.split(".")
        stage = ".".join(parts[: 3 if parts[2:] and parts[2].isdecimal() else 2])  # network.blocks.0, head.linear
        within = name.removeprefix(stage)
        for pattern, same in _SAME:
            within = pattern.sub(same, within)
        by_class = name in rows
        is_weight = name in weights and _OF_CONSTRAINT not in within
        stages[stage][within] = Part(name, tuple(tensor.shape[by_class:]), by_class, is_weight)
    return stages


def _pairs(theirs: Mapping[str, Part], mine: Mapping[str, Part]) -> list[tuple[Part, Part]]:
    """Pair the tensors of two stages; none where either has a weight without its like in the other."""
    alike = [key for key in mine if key in theirs and theirs[key].shape == mine[key].shape]
    weights = {key for stage in (theirs, mine) for key, part in stage.items() if part.is_weight}
    return [(mine[key], theirs[key]) for key in alike] if weights <= set(alike) else []


def _labels(names: Sequence[str] | None) -> dict[str, int]:
    keys = [name_key(name) for name in names or ()]
    often = Counter(keys)
    return {key: label for label, key in enumerate(keys) if key and often[key] == 1}


def _resolve(config: GeneratorConfig, given: str, where: str) -> int:
    try:
        return resolve_class(config, given)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
