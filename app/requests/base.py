"""What all requests share: model, seed and truncation, how they are checked, and what each kind has to provide."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from app import limits
from app.limits import InvalidRequest
from sngan_cond import Generator
from sngan_cond.classes import resolve_class
from sngan_cond.inputs import Inputs

Query = dict[str, list[str]]  # a link's query as `urllib.parse.parse_qs` returns it


@dataclass(frozen=True, kw_only=True)
class Request(ABC):
    """A request for images.

    Args:
        model: name of a model of this page, or a Hub repo; empty takes the first.
        revision: branch, tag or commit hash of a repo; empty takes its default.
        seed: 0 to 2**63 - 1; draws the latents.
        truncation: threshold in standard deviations, or None.
    """

    tab: ClassVar[str]  # also the name of the function in sngan_cond and of the subcommand, where there is one
    trigger_keys: ClassVar[tuple[str, ...]]  # a link with any of these keys asks for images at once
    moves: ClassVar[bool] = False  # whether the images are the steps of a path, to be shown as an animation too

    model: str = ""
    revision: str = ""
    seed: int = 0
    truncation: float | None = None

    @classmethod
    @abstractmethod
    def parse(cls, **values: Any) -> Self:
        """Check values as they came from the page, a link or a client.

        Args:
            values: by field name; a missing one takes the field's default.
        Raises:
            InvalidRequest: naming the field, the value and what is allowed.
        """

    @staticmethod
    def _parse_shared(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "model": limits.text("model", values.get("model")),
            "revision": limits.text("revision", values.get("revision")),
            "seed": limits.seed("seed", values.get("seed", 0)),
            "truncation": limits.truncation(values.get("truncation")),
        }

    @classmethod
    @abstractmethod
    def from_query(cls, query: Query) -> Self:
        """Read a link's query and check it as `parse` does; keys that mean nothing here are ignored."""

    @staticmethod
    def _first_values(query: Query, **keys: str) -> dict[str, str]:
        """Return what a query says about the shared fields and the given ones, each field with its first value."""
        keys |= {key: key for key in ("model", "revision", "seed", "truncation")}
        return {field: query[key][0] for field, key in keys.items() if query.get(key)}

    def query(self) -> Query:
        """Return the query of a link that asks for the same again."""
        values: Query = {"tab": [self.tab], "model": [self.model], "revision": [self.revision]}
        values["seed"] = [str(self.seed)]
        values["truncation"] = [] if self.truncation is None else [repr(self.truncation)]
        return {key: [value for value in entries if value] for key, entries in (values | self._own_query()).items()}

    @abstractmethod
    def _own_query(self) -> Query: ...

    @property
    @abstractmethod
    def class_texts(self) -> tuple[str, ...]:
        """The classes as the visitor named them: indices, names or WordNet ids."""

    @abstractmethod
    def with_labels(self, labels: list[int]) -> Self:
        """Return the same request with its classes written as indices.

        Args:
            labels: distinct labels of `class_texts`, in order of appearance.
        """

    @abstractmethod
    def inputs(self, G: Generator) -> tuple[Inputs, list[list[int]]]:
        """Draw the latents and find the labels.

        Returns:
            The generator's inputs, and for each image the labels that it shows.
        Raises:
            InvalidRequest: if a class is unknown or ambiguous, or the model has none.
        """

    def captions(self, names: list[list[str]]) -> list[str]:
        """Return the text below each image.

        Args:
            names: of the classes that each image shows.
        """
        return [f"{i + 1}" for i in range(len(names))]

    def columns(self, images: int, classes: int) -> int:
        """Return how many columns the grid has, as the command line lays it out.

        Args:
            images: in all, at least 1.
            classes: distinct classes that they show.
        """
        return images if self.moves else square_side(images)

    def keeps_rows(self, classes: int) -> bool:
        """Whether a row of the grid means something and should stay a row on the page."""
        return self.moves

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the recipe's entries that only this kind of request has."""

    def command_options(self, labels: list[int]) -> list[str] | None:
        """Return the options of the command `tab` that only it has; None where the command line has no such command."""
        return None

    @abstractmethod
    def python_arguments(self, labels: list[int]) -> str:
        """Return the arguments of the function `tab` of `sngan_cond` that only it has, as source code."""


def square_side(count: int) -> int:
    """Return the side of the smallest square of cells that holds so many images."""
    return next(side for side in range(1, count + 1) if side * side >= count)


def parse_classes(value: Any, limit: int) -> tuple[str, ...]:
    """Check a list of classes without looking them up; empty entries are dropped.

    Args:
        value: a sequence of indices or texts, or a single one; None is an empty list.
        limit: how many at most.
    Raises:
        InvalidRequest: if it is no list, too long, or an entry is not text.
    """
    entries = [] if value is None else [value] if isinstance(value, str | int) else value
    if not isinstance(entries, Sequence):
        raise InvalidRequest(f"class is {limits.short_repr(value)}: a list of class names is expected")
    if len(entries) > limit:
        raise InvalidRequest(f"{len(entries)} classes are given: at most {limit} are allowed")
    texts = (limits.text("class", entry) for entry in entries)
    return tuple(text for text in texts if text)


def labels_of(G: Generator, classes: tuple[str, ...]) -> list[int]:
    """Look up classes.

    Args:
        classes: indices, names or WordNet ids.
    Raises:
        InvalidRequest: if one is unknown, or means several; the message lists them.
    """
    try:
        return [resolve_class(G.config, text) for text in classes]
    except ValueError as error:
        raise InvalidRequest(str(error)) from error
