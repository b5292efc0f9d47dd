"""What visitors ask for: four kinds of request, checked, and written to and read from the query of a link."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from app import limits
from app.limits import LIMITS, InvalidRequest

Query = dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What every request has.

    Args:
        model: name of a model of this page, or a Hub repo; empty takes the first.
        revision: branch, tag or commit hash of a repo; empty takes its default.
        seed: of the latents.
        truncation: threshold in standard deviations, or None.
    """

    tab = ""

    model: str = ""
    revision: str = ""
    seed: int = 0
    truncation: float | None = None

    def query(self) -> Query:
        """Return what a link needs to ask for the same again."""
        values: Query = {"tab": [self.tab], "model": [self.model], "revision": [self.revision]}
        values["seed"] = [str(self.seed)]
        values["truncation"] = [] if self.truncation is None else [repr(self.truncation)]
        return {key: [value for value in entries if value] for key, entries in (values | self._own_query()).items()}

    def _own_query(self) -> Query:
        raise NotImplementedError

    @staticmethod
    def _common(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "model": limits.text("model", values.get("model")),
            "revision": limits.text("revision", values.get("revision")),
            "seed": limits.seed("seed", values.get("seed", 0)),
            "truncation": limits.truncation(values.get("truncation")),
        }


@dataclass(frozen=True, kw_only=True)
class SampleRequest(Request):
    """Pictures of classes, a row of them for each class.

    Args:
        classes: indices, names or WordNet ids; empty only for a model without classes.
        count: pictures of each class.
    """

    tab = "sample"

    classes: tuple[str, ...] = ()
    count: int = 8

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """Check values as they came from a page, a link or a client.

        Args:
            values: by field name.
        Returns:
            The request.
        Raises:
            InvalidRequest: naming the field, the value and what is allowed.
        """
        classes = _classes("class", values.get("classes"), LIMITS.classes)
        count = limits.whole_number("number of pictures", values.get("count", 8), 1, LIMITS.pictures)
        if count * max(1, len(classes)) > LIMITS.pictures:
            raise InvalidRequest(
                f"{count} pictures of {len(classes)} classes are {count * len(classes)}: "
                f"at most {LIMITS.pictures} at once are allowed"
            )
        return cls(classes=classes, count=count, **cls._common(values))

    def _own_query(self) -> Query:
        return {"class": list(self.classes), "n": [str(self.count)]}


@dataclass(frozen=True, kw_only=True)
class MorphRequest(Request):
    """One latent on the way from one class to another.

    Args:
        from_class: index, name or WordNet id.
        to_class: likewise.
        steps: pictures.
    """

    tab = "morph"

    from_class: str
    to_class: str
    steps: int = 8

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """Check values as `SampleRequest.parse` does."""
        return cls(
            from_class=_class("from", values.get("from_class")),
            to_class=_class("to", values.get("to_class")),
            steps=limits.whole_number("steps", values.get("steps", 8), 2, LIMITS.steps),
            **cls._common(values),
        )

    def _own_query(self) -> Query:
        return {"from": [self.from_class], "to": [self.to_class], "steps": [str(self.steps)]}


@dataclass(frozen=True, kw_only=True)
class MixtureRequest(Request):
    """Pictures of a blend of classes.

    Args:
        classes: indices, names or WordNet ids.
        weights: one of each class, at least one above 0.
        count: pictures.
    """

    tab = "mixture"

    classes: tuple[str, ...]
    weights: tuple[float, ...]
    count: int = 8

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """Check values as `SampleRequest.parse` does."""
        classes = _classes("class", values.get("classes"), LIMITS.mixture_classes)
        given = values.get("weights")
        if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != len(classes):
            raise InvalidRequest(f"weights: {len(classes)} numbers are expected, one of each class")
        if not classes:
            raise InvalidRequest("choose at least one class to mix")
        weights = tuple(limits.share("weight", weight) for weight in given)
        if not any(weights):
            raise InvalidRequest("all weights are 0: at least one above 0 is needed")
        count = limits.whole_number("number of pictures", values.get("count", 8), 1, LIMITS.pictures)
        return cls(classes=classes, weights=weights, count=count, **cls._common(values))

    def _own_query(self) -> Query:
        weights = [repr(weight) for weight in self.weights]
        return {"class": list(self.classes), "weight": weights, "n": [str(self.count)]}


@dataclass(frozen=True, kw_only=True)
class WalkRequest(Request):
    """One class on the way from one latent to another; `seed` is that of the first.

    Args:
        class_: index, name or WordNet id; empty only for a model without classes.
        to_seed: of the last latent.
        steps: pictures.
    """

    tab = "walk"

    class_: str = ""
    to_seed: int = 1
    steps: int = 8

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """Check values as `SampleRequest.parse` does."""
        return cls(
            class_=limits.text("class", values.get("class_")),
            to_seed=limits.seed("second seed", values.get("to_seed", 1)),
            steps=limits.whole_number("steps", values.get("steps", 8), 2, LIMITS.steps),
            **cls._common(values),
        )

    def _own_query(self) -> Query:
        return {"class": [self.class_], "to_seed": [str(self.to_seed)], "steps": [str(self.steps)]}


AnyRequest = SampleRequest | MorphRequest | MixtureRequest | WalkRequest


def _class(name: str, value: Any) -> str:
    label = limits.text(f"class “{name}”", value)
    if not label:
        raise InvalidRequest(f"choose the class to morph {name}")
    return label


def _classes(name: str, value: Any, limit: int) -> tuple[str, ...]:
    entries = [] if value is None else [value] if isinstance(value, str | int) else value
    if not isinstance(entries, Sequence):
        raise InvalidRequest(f"{name} is {limits.short_repr(value)}: a list of class names is expected")
    if len(entries) > limit:
        raise InvalidRequest(f"{len(entries)} classes are given: at most {limit} are allowed")
    labels = (limits.text(name, entry) for entry in entries)
    return tuple(label for label in labels if label)
