"""A request for images of classes."""

from dataclasses import dataclass, replace
from typing import Any, Self

from app import limits
from app.limits import LIMITS, InvalidRequest
from app.requests.base import Query, Request, labels_of, parse_classes
from sngan_cond import Generator
from sngan_cond.inputs import Inputs, sample_inputs


@dataclass(frozen=True, kw_only=True)
class SampleRequest(Request):
    """Images of classes, one row of the grid for each class.

    Args:
        classes: indices, names or WordNet ids; empty only for a model without classes.
        count: images of each class.
    """

    tab = "sample"
    trigger_keys = ("class", "seed")

    classes: tuple[str, ...] = ()
    count: int = 8

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """Check values; see `Request.parse`."""
        classes = parse_classes(values.get("classes"), LIMITS.classes)
        count = limits.whole_number("number of images", values.get("count", 8), 1, LIMITS.images)
        if count * max(1, len(classes)) > LIMITS.images:
            raise InvalidRequest(
                f"{count} images of each of {len(classes)} classes are {count * len(classes)}: "
                f"at most {LIMITS.images} at once are allowed"
            )
        return cls(classes=classes, count=count, **cls._parse_shared(values))

    @classmethod
    def from_query(cls, query: Query) -> Self:
        """Read a link's query."""
        return cls.parse(classes=query.get("class", []), **cls._first_values(query, count="n"))

    def _own_query(self) -> Query:
        return {"class": list(self.classes), "n": [str(self.count)]}

    @property
    def class_texts(self) -> tuple[str, ...]:
        """The classes as the visitor named them."""
        return self.classes

    def with_labels(self, labels: list[int]) -> Self:
        """Return the same request with its classes written as indices."""
        return replace(self, classes=tuple(str(label) for label in labels))

    def inputs(self, G: Generator) -> tuple[Inputs, list[list[int]]]:
        """Draw a latent for each image; see `Request.inputs`."""
        if not G.config.num_classes:
            if self.classes:
                raise InvalidRequest("this model has no classes: leave the class out")
            inputs = sample_inputs(G, n=self.count, seed=self.seed, truncation=self.truncation)
            return inputs, [[] for _ in range(self.count)]
        if not self.classes:
            raise InvalidRequest("choose at least one class")
        chosen = labels_of(G, self.classes)
        if len(set(chosen)) != len(chosen):
            raise InvalidRequest("a class is chosen twice: name it once, and ask for more images of each class")
        labels = [label for label in chosen for _ in range(self.count)]
        inputs = sample_inputs(G, classes=labels, seed=self.seed, truncation=self.truncation)
        return inputs, [[label] for label in labels]

    def captions(self, names: list[list[str]]) -> list[str]:
        """Name each image's class; without classes, number the images."""
        return [row[0] if row else f"{i + 1}" for i, row in enumerate(names)]

    def columns(self, images: int, classes: int) -> int:
        """Lay out a row for each class; without classes, a square."""
        return self.count if classes else super().columns(images, classes)

    def keeps_rows(self, classes: int) -> bool:
        """Whether there are rows to compare: those of two classes or more."""
        return classes > 1

    def settings(self) -> dict[str, Any]:
        """Return the recipe's entries that only this kind of request has."""
        return {"pictures_of_each_class": self.count}

    def command_options(self, labels: list[int]) -> list[str] | None:
        """Return the options of `sngan-cond sample`."""
        return [*(word for label in labels for word in ("--class", str(label))), "--n", str(self.count)]

    def python_arguments(self, labels: list[int]) -> str:
        """Return the arguments of `sngan_cond.sample`."""
        return f"classes=[c for c in {labels} for _ in range({self.count})]" if labels else f"n={self.count}"
