"""A request for a path between two classes."""

from dataclasses import dataclass, replace
from typing import Any, Self

from app import limits
from app.limits import LIMITS, InvalidRequest
from app.requests.base import Query, Request, labels_of
from sngan_cond import Generator
from sngan_cond.inputs import Inputs, morph_inputs


@dataclass(frozen=True, kw_only=True)
class MorphRequest(Request):
    """Interpolation from one class to another with a fixed latent.

    Args:
        from_class: index, name or WordNet id.
        to_class: likewise; may be the same class.
        steps: images, both ends included.
    """

    tab = "morph"
    trigger_keys = ("from", "to")
    moves = True

    from_class: str
    to_class: str
    steps: int = 8

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """Check values; see `Request.parse`."""
        return cls(
            from_class=_class("from", values.get("from_class")),
            to_class=_class("to", values.get("to_class")),
            steps=limits.whole_number("steps", values.get("steps", 8), 2, LIMITS.steps),
            **cls._parse_shared(values),
        )

    @classmethod
    def from_query(cls, query: Query) -> Self:
        """Read a link's query."""
        return cls.parse(**cls._first_values(query, from_class="from", to_class="to", steps="steps"))

    def _own_query(self) -> Query:
        return {"from": [self.from_class], "to": [self.to_class], "steps": [str(self.steps)]}

    @property
    def class_texts(self) -> tuple[str, ...]:
        """The first and the last class as the visitor named them."""
        return self.from_class, self.to_class

    def with_labels(self, labels: list[int]) -> Self:
        """Return the same request with its classes written as indices."""
        return replace(self, from_class=str(labels[0]), to_class=str(labels[-1]))  # a morph into itself has one label

    def inputs(self, G: Generator) -> tuple[Inputs, list[list[int]]]:
        """Draw one latent for all images; see `Request.inputs`."""
        start, end = labels_of(G, self.class_texts)
        inputs = morph_inputs(
            G, from_class=start, to_class=end, steps=self.steps, seed=self.seed, truncation=self.truncation
        )
        return inputs, [[start, end]] * self.steps

    def captions(self, names: list[list[str]]) -> list[str]:
        """Name the ends, and say how far along the images between them are."""
        start, end = names[0]
        last = len(names) - 1
        return [start, *(f"{round(100 * i / last)} %" for i in range(1, last)), end]

    def settings(self) -> dict[str, Any]:
        """Return the recipe's entries that only this kind of request has."""
        return {"steps": self.steps}

    def command_options(self, labels: list[int]) -> list[str] | None:
        """Return the options of `sngan-cond morph`."""
        return ["--from", str(labels[0]), "--to", str(labels[-1]), "--steps", str(self.steps)]

    def python_arguments(self, labels: list[int]) -> str:
        """Return the arguments of `sngan_cond.morph`."""
        return f"from_class={labels[0]}, to_class={labels[-1]}, steps={self.steps}"


def _class(end: str, value: Any) -> str:
    text = limits.text(f"class “{end}”", value)
    if not text:
        raise InvalidRequest(f"choose the class to morph {end}")
    return text
