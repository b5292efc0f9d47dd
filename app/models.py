"""The models of the page: what an open model is, how it is read, and which ones a visitor may open.

What a visitor types is matched against the names and patterns that the operator gave; it never reaches the disk as a
path or the network as an address. Messages to visitors name no folder of this machine.
"""

import fnmatch
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import torch

from app.card import card_html, samples_png
from app.limits import LIMITS, InvalidRequest, short_repr
from sngan_cond import GeneratorConfig
from sngan_cond.blends import class_blend
from sngan_cond.classes import class_label
from sngan_cond.hub.download import locate
from sngan_cond.hub.files import BUNDLED, CONFIG_FILE, WEIGHTS_FILE, is_repo
from sngan_cond.hub.weights import read_config, read_header
from sngan_cond.loading import LoadedModel, load_generator

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_FOLDERS = re.compile(r"(?<![\w:/.])(?:/[^\s/'\",;:()]+)+/")  # the way to a file, but not the path of a URL


@dataclass(frozen=True, kw_only=True, eq=False)
class Model(LoadedModel):
    """An open model; its generator is on the page's device.

    Args:
        name: what visitors call it; never a path of this machine.
        revision: as they asked for it.
    """

    name: str
    revision: str = ""

    @property
    def key(self) -> str:
        """What tells it from every other model of the page."""
        return f"{self.name}@{self.revision}" if self.revision else self.name

    @property
    def config(self) -> GeneratorConfig:
        """The generator's configuration."""
        return self.generator.config

    @cached_property
    def weights_sha256(self) -> str | None:
        """Of the weights file; None where `commit_hash` identifies it already."""
        if self.commit_hash is not None:
            return None
        with (self.folder / WEIGHTS_FILE).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @cached_property
    def card_html(self) -> str:
        """The card as HTML that neither loads nor runs anything; empty where there is none."""
        address = f"sngan/samples.png?{urlencode({'model': self.name, 'revision': self.revision})}"
        return card_html(self.card or "", samples=None if self.samples_png is None else address)

    @cached_property
    def samples_png(self) -> bytes | None:
        """The file samples.png beside the weights, which the card may show."""
        return None if self.samples is None else samples_png(self.samples)

    def called(self, label: int | str) -> str:
        """Return what to call a class, or a blend of classes as `blend_text` writes it; empty text stays empty."""
        if isinstance(label, int) or not label:
            return class_label(self.config, label) if label != "" else ""
        blend = class_blend(self.config, label)
        if len(blend) == 1:
            return class_label(self.config, next(iter(blend)))
        total = sum(blend.values())
        return " + ".join(f"{weight / total:.0%} {class_label(self.config, i)}" for i, weight in blend.items())

    def described(self, label: int) -> dict[str, Any]:
        """Return a class as recipes and the endpoint list it."""
        ids = self.config.class_ids
        return {"index": label, "name": class_label(self.config, label), "wordnet_id": ids[label] if ids else None}


def read_model(source: str, *, name: str, revision: str = "", given: str, device: torch.device) -> Model:
    """Find a model, downloading it if need be, and load it.

    Args:
        source: folder, "bundled" or "user/name@revision".
        name, revision: what visitors ask for to get it.
        given: what the operator called it, perhaps a path; `name` replaces it in messages.
    Raises:
        InvalidRequest: if it is missing, damaged or too large.
    """
    try:
        loaded = load_generator(source, max_weights_bytes=LIMITS.model_bytes)
        model = Model(**vars(loaded), name=name, revision=revision)
        # Read now: a folder may change later, and whoever opens a model is told that one of its files is damaged.
        _ = model.metrics, model.training, model.card_html, model.weights_sha256
    except ValueError as error:
        raise InvalidRequest(_FOLDERS.sub("", str(error).replace(given, name))) from error
    model.generator.to(device)
    return model


@dataclass
class _Slot:
    """The place of one model, open or being opened; whoever holds the lock may open it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    model: Model | None = None


class ModelStore:
    """Opens models when they are first asked for and keeps the most recently used.

    `names` are those of the models given at start, `patterns` fit further repos that can be opened.

    Args:
        sources: folders, Hub repos ("user/name" or "user/name@revision") or "bundled"; at least one.
        allow_repos: shell patterns ("user/*") of further Hub repos.
        device: where generators go; None is the CPU.
        capacity: how many models stay open.
    Raises:
        ValueError: if there is no source, or two have one name.
    """

    def __init__(
        self,
        sources: Sequence[str],
        *,
        allow_repos: Sequence[str] = (),
        device: torch.device | None = None,
        capacity: int = LIMITS.models_loaded,
    ) -> None:
        if not sources:
            raise ValueError("model: at least one is needed")
        self._sources: dict[str, str] = {}
        for source in sources:
            name = _public_name(source)
            if self._sources.get(name, source) != source:
                raise ValueError(f"model={source!r}: another model is already called {name!r}; rename its folder")
            self._sources[name] = source
        self.names = list(self._sources)
        self.patterns = tuple(allow_repos)
        self._device = device or torch.device("cpu")
        self._capacity = capacity
        # By name and revision as asked for, the least recently used first. A slot's lock is always taken before the two
        # locks below, and neither of them while the other is held.
        self._slots: OrderedDict[tuple[str, str], _Slot] = OrderedDict()
        self._guard = threading.Lock()  # of _slots; held for moments only
        self._opening = threading.Lock()  # one model at a time: while it is opened it takes the most memory

    @property
    def has_repos(self) -> bool:
        """Whether any model that can be opened lies in a repo, and so has revisions."""
        return bool(self.patterns) or not all(map(_is_folder, self._sources.values()))

    def check_sources(self) -> None:
        """Look into the files of all that is no repo, so that whoever starts the page hears of a mistake.

        Raises:
            PretrainedError: naming the folder as it was given.
        """
        for source in self._sources.values():
            if _is_folder(source) or not is_repo(source.partition("@")[0]):
                folder = locate(source, max_weights_bytes=LIMITS.model_bytes).folder
                read_config(folder / CONFIG_FILE, f"{source}: {CONFIG_FILE}")
                read_header(folder / WEIGHTS_FILE)

    def open(self, name: str = "", revision: str = "", *, again: bool = False) -> Model:
        """Return a model, opening it first if it is not open.

        Args:
            name: one of `names`, or a repo that fits a pattern; empty takes the first of `names`.
            revision: branch, tag or commit hash of a repo; empty takes its default.
            again: ask the Hub whether the branch has moved, even if the model is open.
        Raises:
            InvalidRequest: if the name is not offered here, or the model cannot be opened.
        """
        if not again and (model := self.opened(name, revision)) is not None:
            return model  # without its slot's lock, which a visitor who asks for it `again` may hold for long
        name, revision, source = self._wanted(name, revision)
        with self._slot(name, revision) as slot:
            if slot.model is None or again:  # whoever had the lock before may have opened it
                with self._opening:
                    given = self._sources.get(name, name)
                    slot.model = read_model(source, name=name, revision=revision, given=given, device=self._device)
            return slot.model

    def opened(self, name: str = "", revision: str = "") -> Model | None:
        """Return a model if it is open, at once; the arguments are as for `open`.

        Raises:
            InvalidRequest: if the name is not offered here.
        """
        name, revision, _ = self._wanted(name, revision)
        with self._guard:
            slot = self._slots.get((name, revision))
            if slot is None or slot.model is None:
                return None
            self._slots.move_to_end((name, revision))
            return slot.model

    def _wanted(self, name: str, revision: str) -> tuple[str, str, str]:
        """Return name, revision and source of what a visitor asks for."""
        name, separator, named = (name or self.names[0]).partition("@")
        if separator and revision and revision != named:
            raise InvalidRequest(
                f"revision is {short_repr(revision)}, and the model's name says {short_repr(named)}: give it once"
            )
        revision = revision or named
        return name, revision, self._source(name, revision)

    def _source(self, name: str, revision: str) -> str:
        given = self._sources.get(name)
        if given is not None and not revision:
            return given
        if given is not None and _is_folder(given):
            raise InvalidRequest(
                f"revision is {short_repr(revision)}: the model {short_repr(name)} is a folder, which has none"
            )
        repo = name if given is None else given.partition("@")[0]
        allowed = any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns)
        if given is None and not (allowed and _REPO.fullmatch(name)):
            raise InvalidRequest(f"model {short_repr(name)} is not offered here: {self._offer()}")
        # Always with a revision: `locate` takes a bare "user/name" for a folder if the server was started beside one.
        return f"{repo}@{revision or 'main'}"

    def _offer(self) -> str:
        offered = ", ".join(self.names[:8])
        if not self.patterns:
            return f"choose one of {offered}"
        return f"choose one of {offered}, or a Hub repo like {', '.join(self.patterns[:4])}"

    @contextmanager
    def _slot(self, name: str, revision: str) -> Iterator[_Slot]:
        """Hold the lock under which this model is opened; the slot is dropped if that fails."""
        key = (name, revision)
        with self._guard:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
        with slot.lock:
            try:
                yield slot
            finally:
                with self._guard:
                    if slot.model is None:
                        self._slots.pop(key, None)
                    while len(self._slots) > self._capacity:
                        self._slots.popitem(last=False)


def _is_folder(source: str) -> bool:
    return source == BUNDLED or Path(source).is_dir()


def _public_name(source: str) -> str:
    """Return what visitors call a source: its repo, or the folder's name without the path to it."""
    if source != BUNDLED and Path(source).is_dir():
        name = Path(source).resolve().name
        if "@" in name:
            raise ValueError(f"model={source!r}: in the name of a folder @ stands for a revision; rename it")
        return name
    return source.partition("@")[0]
