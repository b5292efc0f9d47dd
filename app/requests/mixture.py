"""A request for images of a weighted blend of classes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from app import limits
from app.limits import LIMITS, InvalidRequest
from app.requests.base import Query, Request, labels_of, parse_classes
from sngan_cond import Generator
from sngan_cond.inputs import Inputs, mixture_inputs


@dataclass(frozen=True, kw_only=True)
class MixtureRequest(Request):
    """Images of a blend of classes.

    Args:
        classes: indices, names or WordNet ids.
        weights: one for each class, at least one above 0; only their proportions count.
        count: images.
    """

    tab = "mixture"
    trigger_keys = ("class",)

    classes: tuple[str, ...]
    weights: tuple[float, ...]
    count: int = 8

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """Check values; see `Request.parse`."""
        classes = parse_classes(values.get("classes"), LIMITS.mixture_classes)
        given = values.get("weights")
        if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != len(classes):
            raise InvalidRequest(f"weights: {len(classes)} numbers are expected, one of each class")
        if not classes:
            raise InvalidRequest("choose at least one class to mix")
        weights = tuple(limits.weight(value) for value in given)
        if not any(weights):
            raise InvalidRequest("all weights are 0: at least one above 0 is needed")
        count = limits.whole_number("number of images", values.get("count", 8), 1, LIMITS.images)
        return cls(classes=classes, weights=weights, count=count, **cls._parse_shared(values))

    @classmethod
    def from_query(cls, query: Query) -> Self:
        """Read a link's query."""
        lists = {"classes": query.get("class"), "weights": query.get("weight")}
        return cls.parse(**lists, **cls._first_values(query, count="n"))

    def _own_query(self) -> Query:
        weights = [repr(weight) for weight in self.weights]
        return {"class": list(self.classes), "weight": weights, "n": [str(self.count)]}

    @property
    def class_texts(self) -> tuple[str, ...]:
        """The classes as the visitor named them."""
        return self.classes

    def with_labels(self, labels: list[int]) -> Self:
        """Return the same request with its classes written as indices."""
        return replace(self, classes=tuple(str(label) for label in labels))

    def inputs(self, G: Generator) -> tuple[Inputs, list[list[int]]]:
        """Draw a latent for each image; see `Request.inputs`."""
        labels = labels_of(G, self.classes)
        if len(set(labels)) != len(labels):
            raise InvalidRequest("a class is in the mixture twice: give it one weight")
        weights = dict(zip(labels, self.weights, strict=True))
        inputs = mixture_inputs(G, weights=weights, n=self.count, seed=self.seed, truncation=self.truncation)
        return inputs, [labels] * self.count

    def settings(self) -> dict[str, Any]:
        """Return the recipe's entries that only this kind of request has."""
        return {"weights": list(self.weights), "pictures": self.count}

    def python_arguments(self, labels: list[int]) -> str:
        """Return the arguments of `sngan_cond.mixture`."""
        return f"weights={dict(zip(labels, self.weights, strict=True))}, n={self.count}"
