"""Class labels from what people type, and names for people from labels."""

import difflib
import functools
import importlib.resources
import json
import re
from collections import defaultdict
from dataclasses import dataclass

from sngan_cond.config import GeneratorConfig

MAX_TEXT = 200  # longer than any class name; keeps nearest-name search cheap on hostile input
LISTED = 8  # candidates named in one message

# ImageNet has two classes that WordNet calls "crane" and two that it calls "maillot". Our list tells them apart by a
# further word, but somebody who types the plain word may mean either.
_SAME_WORD_IN_WORDNET = {"n02012849": "crane", "n03710721": "maillot"}


@functools.cache
def imagenet_classes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names and the WordNet ids of ImageNet's 1,000 classes, in label order (ids sorted)."""
    text = importlib.resources.files("sngan_cond").joinpath("assets/imagenet_classes.json").read_text("utf-8")
    rows = sorted(json.loads(text), key=lambda row: row["index"])
    return tuple(row["name"] for row in rows), tuple(row["wnid"] for row in rows)


def class_label(config: GeneratorConfig, index: int) -> str:
    """Return what to call a class: its name, followed by its id or index where other classes share the name.

    Args:
        index: label, 0 to num_classes - 1.
    Returns:
        Text that `resolve_class` turns back into `index`.
    Raises:
        ValueError: if there is no such class.
    """
    _check_has_classes(config)
    if not 0 <= index < config.num_classes:
        raise ValueError(f"class {index}: an index from 0 to {config.num_classes - 1} is allowed")
    name = "" if config.class_names is None else config.class_names[index].strip()
    unique = str(index) if config.class_ids is None else config.class_ids[index]
    if not name:
        return unique
    means_one = _index(config).by_name[_normalise(name)] == [index] and not _is_integer(name)
    return name if means_one else f"{name} ({unique})"


def resolve_class(config: GeneratorConfig, text: str) -> int:
    """Find the class that a text means.

    Args:
        text: an index (taken as such where it is in range), a name, one of a name's comma-separated synonyms, a WordNet
            id, or what `class_label` returned; letter case and underscores do not matter.
    Returns:
        Label, 0 to num_classes - 1.
    Raises:
        ValueError: if the model has no classes, or the text means none or several; candidates are listed.
    """
    _check_has_classes(config)
    key = _normalise(text)
    if _is_integer(key) and 0 <= int(key) < config.num_classes:
        return int(key)
    index = _index(config)
    found = index.by_id.get(key) or index.by_name.get(key) or _by_label(index, key)
    if len(found) == 1:
        return found[0]
    quoted = repr(text if len(text) <= MAX_TEXT else text[:60] + "…")
    if found:
        raise ValueError(f"class {quoted} means several: {_listed(config, found)}; give an index or a WordNet id")
    allowed = f"an index from 0 to {config.num_classes - 1}"
    if config.class_names is None and config.class_ids is None:
        raise ValueError(f"class {quoted}: this model's classes have no names; {allowed} is allowed")
    near = search_classes(config, text, limit=3)
    hint = f"; near are {_listed(config, near)}" if near else ""
    raise ValueError(f"class {quoted} is unknown: {allowed}, a name or a WordNet id is allowed{hint}")


def search_classes(config: GeneratorConfig, query: str, limit: int = 20) -> list[int]:
    """Find classes while somebody types.

    Args:
        query: part of a name or a WordNet id, or an index; an empty one finds the first classes.
        limit: how many at most.
    Returns:
        Labels, best first: the index itself, whole names, beginnings of names and ids, beginnings of words, other
        parts; if there are none of these, names of similar spelling. Empty for a model without classes.
    """
    if not config.num_classes or limit < 1:
        return []
    key = _normalise(query)
    if not key:
        return list(range(min(limit, config.num_classes)))
    index = _index(config)
    ranked = [(rank, label) for label in range(config.num_classes) if (rank := _rank(index, label, key)) is not None]
    if ranked:
        return [label for _, label in sorted(ranked)][:limit]
    near = difflib.get_close_matches(key, index.by_name, n=limit, cutoff=0.6)
    return list(dict.fromkeys(label for name in near for label in index.by_name[name]))[:limit]


@dataclass(frozen=True)
class _Index:
    """The normalised names of every class, and the classes of every name."""

    names: tuple[tuple[str, ...], ...]  # of each label: the whole name, its comma-separated parts, WordNet's word
    ids: tuple[str, ...]  # of each label, "" where there are none
    by_name: dict[str, list[int]]
    by_id: dict[str, list[int]]


@functools.lru_cache(maxsize=16)
def _index(config: GeneratorConfig) -> _Index:
    ids = tuple(_normalise(wnid) for wnid in config.class_ids or ("",) * config.num_classes)
    names, by_name, by_id = [], defaultdict(list), defaultdict(list)
    for label, (name, wnid) in enumerate(zip(config.class_names or ("",) * config.num_classes, ids, strict=True)):
        parts = (_normalise(part) for part in (name, *name.split(","), _SAME_WORD_IN_WORDNET.get(wnid, "")))
        names.append(tuple(dict.fromkeys(part for part in parts if part)))  # each once
        for part in names[-1]:
            by_name[part].append(label)
        if wnid:
            by_id[wnid].append(label)
    return _Index(tuple(names), ids, dict(by_name), dict(by_id))


def _rank(index: _Index, label: int, key: str) -> int | None:
    """Return how well a class fits a query, 0 best, None not at all."""
    names, wnid = index.names[label], index.ids[label]
    fits = (
        key == str(label),
        key in names or key == wnid,
        wnid.startswith(key) or any(name.startswith(key) for name in names),
        any(f" {key}" in name for name in names),
        any(key in name for name in names),
    )
    return next((rank for rank, fit in enumerate(fits) if fit), None)


def _by_label(index: _Index, key: str) -> list[int]:
    """Read "name (index)" and "name (id)"; both parts must fit."""
    match = re.fullmatch(r"(.+) \((\S+)\)", key)
    if match is None:
        return []
    pointed = index.by_id.get(match[2]) or ([int(match[2])] if _is_integer(match[2]) else [])
    return [label for label in pointed if label in index.by_name.get(match[1], ())]


def _normalise(text: str) -> str:
    return " ".join(text[:MAX_TEXT].casefold().replace("_", " ").split())


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,18}", text) is not None


def _listed(config: GeneratorConfig, labels: list[int]) -> str:
    """Name candidates as index / id / name."""
    rows = []
    for label in labels[:LISTED]:
        wnid = () if config.class_ids is None else (config.class_ids[label],)
        name = () if config.class_names is None else (config.class_names[label],)
        rows.append(" / ".join((str(label), *wnid, *name)))
    more = [f"{len(labels) - LISTED} more"] if len(labels) > LISTED else []
    return ", ".join(rows + more)


def _check_has_classes(config: GeneratorConfig) -> None:
    if not config.num_classes:
        raise ValueError("this model has no classes (num_classes=0): nothing to choose from")
