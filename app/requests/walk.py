"""A request for a path between two latents."""

from dataclasses import dataclass, replace
from typing import Any, Self

from app import limits
from app.limits import LIMITS, InvalidRequest
from app.requests.base import Query, Request, labels_of
from sngan_cond import Generator
from sngan_cond.inputs import Inputs, walk_inputs


@dataclass(frozen=True, kw_only=True)
class WalkRequest(Request):
    """Interpolation from the latent of `seed` to that of `to_seed`, within one class.

    Args:
        class_: index, name or WordNet id; empty only for a model without classes.
        to_seed: draws the last latent.
        steps: images, both ends included.
    """

    tab = "walk"
    trigger_keys = ("class", "seed", "to_seed")
    moves = True

    class_: str = ""
    to_seed: int = 1
    steps: int = 8

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """Check values; see `Request.parse`."""
        return cls(
            class_=limits.text("class", values.get("class_")),
            to_seed=limits.seed("second seed", values.get("to_seed", 1)),
            steps=limits.whole_number("steps", values.get("steps", 8), 2, LIMITS.steps),
            **cls._parse_shared(values),
        )

    @classmethod
    def from_query(cls, query: Query) -> Self:
        """Read a link's query."""
        return cls.parse(**cls._first_values(query, class_="class", to_seed="to_seed", steps="steps"))

    def _own_query(self) -> Query:
        return {"class": [self.class_], "to_seed": [str(self.to_seed)], "steps": [str(self.steps)]}

    @property
    def class_texts(self) -> tuple[str, ...]:
        """The class as the visitor named it, or nothing."""
        return (self.class_,) if self.class_ else ()

    def with_labels(self, labels: list[int]) -> Self:
        """Return the same request with its class written as an index."""
        return replace(self, class_=str(labels[0]) if labels else "")

    def inputs(self, G: Generator) -> tuple[Inputs, list[list[int]]]:
        """Draw both ends and interpolate; see `Request.inputs`."""
        if self.class_ and not G.config.num_classes:
            raise InvalidRequest("this model has no classes: leave the class out")
        if G.config.num_classes and not self.class_:
            raise InvalidRequest("choose a class to walk in")
        labels = labels_of(G, self.class_texts)
        inputs = walk_inputs(
            G,
            in_class=labels[0] if labels else None,
            seed=self.seed,
            to_seed=self.to_seed,
            steps=self.steps,
            truncation=self.truncation,
        )
        return inputs, [labels] * self.steps

    def settings(self) -> dict[str, Any]:
        """Return the recipe's entries that only this kind of request has."""
        return {"to_seed": self.to_seed, "steps": self.steps}

    def python_arguments(self, labels: list[int]) -> str:
        """Return the arguments of `sngan_cond.walk`."""
        in_class = f"in_class={labels[0]}, " if labels else ""
        return f"{in_class}to_seed={self.to_seed}, steps={self.steps}"
