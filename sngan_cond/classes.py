"""Class labels from what people type, and names for people from labels."""

import difflib
import functools
import importlib.resources
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsIndex, overload

from sngan_cond.config import GeneratorConfig
from sngan_cond.stored import parse_json
from sngan_cond.validation import integer, plain, short_repr

Class = SupportsIndex | str  # what `resolve_class` takes; SupportsIndex are integers, NumPy's and PyTorch's included

MAX_TEXT = 200  # longer than any class name; keeps nearest-name search cheap on hostile input
LISTED = 8  # candidates named in one message

# ImageNet has two classes that WordNet calls "crane" and two that it calls "maillot". Our list tells them apart by a
# further word, but somebody who types the plain word may mean either.
_SAME_WORD_IN_WORDNET = {"n02012849": "crane", "n03710721": "maillot"}


@functools.cache
def imagenet_classes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names and the WordNet ids of ImageNet's 1,000 classes, in label order (ids sorted)."""
    text = importlib.resources.files("sngan_cond").joinpath("assets/imagenet_classes.json").read_text("utf-8")
    rows = sorted(parse_json(text, list, name="imagenet_classes.json"), key=lambda row: row["index"])
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
        raise ValueError(f"class {index}: {_allowed_index(config)} is allowed")
    return _index(config).labels[index]


def class_text(config: GeneratorConfig, index: int) -> str:
    """Return what to write for a class in links and commands: its index, or its label where a number is a name.

    Args:
        index: label, 0 to num_classes - 1.
    Returns:
        Text that `resolve_class` turns back into `index`.
    """
    text = str(index)
    return text if (_named(_index(config), text) or [index]) == [index] else class_label(config, index)


def resolve_class(config: GeneratorConfig, given: Class) -> int:
    """Find the class that a text or an integer means.

    Args:
        given: an index, or a text: a name, one of a name's comma-separated synonyms, a WordNet id, what `class_label`
            returned, or else an index; letter case and underscores do not matter.
    Returns:
        Label, 0 to num_classes - 1.
    Raises:
        ValueError: if the model has no classes, or this means none or several; candidates are listed.
    """
    _check_has_classes(config)
    given = plain(given)
    if isinstance(given, str):
        return _class_of(config, given)
    label = integer(given)
    if label is None or not 0 <= label < config.num_classes:
        names = "" if config.class_names is None and config.class_ids is None else ", a name or a WordNet id"
        raise ValueError(f"class {short_repr(given)}: {_allowed_index(config)}{names} is allowed")
    return label


def _class_of(config: GeneratorConfig, text: str) -> int:
    key = name_key(text)
    found = _named(_index(config), key)
    if not found and _is_integer(key) and int(key) < config.num_classes:
        return int(key)
    if len(found) == 1:
        return found[0]
    quoted = repr(text if len(text) <= MAX_TEXT else text[:60] + "…")
    if found:
        raise ValueError(f"class {quoted} means several: {_listed(config, found)}; give an index or a WordNet id")
    allowed = _allowed_index(config)
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
        Labels, best first: whole names, the index itself, beginnings of names and ids, beginnings of words, other
        parts; if there are none of these, names of similar spelling. Empty for a model without classes.
    Raises:
        ValueError: if the query is no text.
    """
    if not isinstance(query, str):
        raise ValueError(f"query={short_repr(query)}: a text is allowed")
    if not config.num_classes or limit < 1:
        return []
    key = name_key(query)
    if not key:
        return list(range(min(limit, config.num_classes)))
    index = _index(config)
    ranked = [(rank, label) for label in range(config.num_classes) if (rank := _rank(index, label, key)) is not None]
    if ranked:
        return [label for _, label in sorted(ranked)][:limit]
    return list(dict.fromkeys(label for name in _near(index, key, limit) for label in index.by_name[name]))[:limit]


@dataclass(frozen=True, repr=False)
class Classes(Sequence[str]):
    """The classes of a model: their names in label order, and a search among them.

    The names are those of `class_label`, so that `index` finds every one of them again.

    Args:
        _config: of the model's generator.
    """

    _config: GeneratorConfig

    def __len__(self) -> int:
        return self._config.num_classes

    @overload
    def __getitem__(self, label: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, label: slice) -> tuple[str, ...]: ...
    def __getitem__(self, label: SupportsIndex | slice) -> str | tuple[str, ...]:
        try:
            return _index(self._config).labels[label]
        except IndexError:
            raise IndexError(f"class {label}: this model has {len(self)} classes") from None

    def __iter__(self) -> Iterator[str]:
        return iter(_index(self._config).labels)

    def __contains__(self, given: object) -> bool:
        try:
            self.index(given)  # type: ignore[arg-type]  # refuses what is no class
        except ValueError:
            return False
        return True

    def index(self, given: Class) -> int:  # type: ignore[override]  # a class stands in no two places to start from
        """Find a class as `resolve_class` does, by its index, a name or a WordNet id."""
        return resolve_class(self._config, given)

    def search(self, query: str = "", limit: int = 20) -> dict[int, str]:
        """Find classes as `search_classes` does; returns names by label, best first."""
        return {label: self[label] for label in search_classes(self._config, query, limit)}

    def __repr__(self) -> str:
        first = [short_repr(name) for name in self[:3]]
        return f"<{len(self)} classes{': ' if first else ''}{', '.join(first)}{', ...' if len(self) > 3 else ''}>"


@dataclass(frozen=True)
class _Index:
    """The names of every class, and the classes of every name, normalised."""

    labels: tuple[str, ...]  # of each label, what `class_label` returns
    names: tuple[tuple[str, ...], ...]  # of each label: the whole name, its comma-separated parts, WordNet's word
    ids: tuple[str, ...]  # of each label, "" where there are none
    by_name: dict[str, list[int]]
    by_id: dict[str, list[int]]
    words: tuple[str, ...]  # of all names, each once


@functools.lru_cache(maxsize=16)
def _index(config: GeneratorConfig) -> _Index:
    ids = tuple(name_key(wnid) for wnid in config.class_ids or ("",) * config.num_classes)
    names, by_name, by_id = [], defaultdict(list), defaultdict(list)
    for label, (name, wnid) in enumerate(zip(config.class_names or ("",) * config.num_classes, ids, strict=True)):
        parts = (name_key(part) for part in (name, *name.split(","), _SAME_WORD_IN_WORDNET.get(wnid, "")))
        names.append(tuple(dict.fromkeys(part for part in parts if part)))  # each once
        for part in names[-1]:
            by_name[part].append(label)
        if wnid:
            by_id[wnid].append(label)
    labels = tuple(_label(config, label, by_name) for label in range(config.num_classes))
    words = tuple(dict.fromkeys(word for name in by_name for word in name.split()))
    return _Index(labels, tuple(names), ids, dict(by_name), dict(by_id), words)


def _label(config: GeneratorConfig, label: int, by_name: Mapping[str, list[int]]) -> str:
    name = "" if config.class_names is None else config.class_names[label].strip()
    unique = str(label) if config.class_ids is None else config.class_ids[label]
    if not name:
        return f"{unique} ({unique})" if config.class_ids is None and unique in by_name else unique
    return name if by_name[name_key(name)] == [label] else f"{name} ({unique})"


def _rank(index: _Index, label: int, key: str) -> int | None:
    """Return how well a class fits a query, 0 best, None not at all."""
    names, wnid = index.names[label], index.ids[label]
    fits = (
        key in names or key == wnid,
        key == str(label),
        wnid.startswith(key) or any(name.startswith(key) for name in names),
        any(f" {key}" in name for name in names),
        any(key in name for name in names),
    )
    return next((rank for rank, fit in enumerate(fits) if fit), None)


def _near(index: _Index, key: str, limit: int) -> list[str]:
    """Return names that have a word like each of the query's; if there are none, names alike as a whole."""
    close = [
        {word: _alike(word, part) for word in index.words if _alike(word, part) >= 0.8} for part in key.split()[:8]
    ]
    scores = {}
    for name in index.by_name:
        best = [max((likeness.get(word, 0.0) for word in name.split()), default=0.0) for likeness in close]
        if all(best):
            scores[name] = sum(best)
    by_words = sorted(scores, key=scores.__getitem__, reverse=True)
    return by_words or difflib.get_close_matches(key, index.by_name, n=limit, cutoff=0.6)


def _alike(word: str, other: str) -> float:
    """Return how alike two words are spelt, 0 to 1; where their lengths differ much it is not worked out."""
    if 2 * min(len(word), len(other)) < len(word) + len(other) - 6:
        return 0.0
    return difflib.SequenceMatcher(None, word, other, autojunk=False).ratio()


def _named(index: _Index, key: str) -> list[int]:
    """Return the classes that a normalised text means by id, name or label."""
    return index.by_id.get(key) or index.by_name.get(key) or _by_label(index, key)


def _by_label(index: _Index, key: str) -> list[int]:
    """Read "name (index)" and "name (id)"; both parts must fit, and what has no name is called by its index."""
    match = re.fullmatch(r"(.+) \((\S+)\)", key)
    if match is None:
        return []
    pointed = index.by_id.get(match[2]) or ([int(match[2])] if _is_integer(match[2]) else [])
    inside = [label for label in pointed if label < len(index.names)]
    return [label for label in inside if match[1] in (index.names[label] or (str(label),))]


def name_key(text: str) -> str:
    """Return what of a name counts where names are compared: not its letter case, underscores or outer spaces."""
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


def _allowed_index(config: GeneratorConfig) -> str:
    return f"an index from 0 to {config.num_classes - 1}"


def _check_has_classes(config: GeneratorConfig) -> None:
    if not config.num_classes:
        raise ValueError("this model has no classes (num_classes=0): nothing to choose from")
