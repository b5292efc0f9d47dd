"""What every request is: fields that say how they are checked, and all that is told of a request by walking them."""

import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import partial
from typing import Any, ClassVar, Self
from urllib.parse import urlencode

from app import limits
from app.limits import LIMITS, InvalidRequest
from app.requests.origin import Label, Origin, classes_in, label_of, text_of
from sngan_cond import Generator, GeneratorConfig
from sngan_cond.classes import resolve_class
from sngan_cond.inputs import Inputs

Query = dict[str, list[str]]  # a link's query as `urllib.parse.parse_qs` returns it


def asked(
    key: str,
    check: Callable[..., Any],
    default: Any = MISSING,
    *,
    many: bool = False,
    names_classes: bool = False,
    blends: bool = False,
    beside: tuple[str, ...] = (),
    recipe: str | None = None,
    argument: str | None = None,
) -> Any:
    """Declare a field of a request.

    Args:
        key: its name in links, and its option in a command.
        check: turns what came from the page, a link or a client into a value, or raises `InvalidRequest`.
        default: taken where nothing came, and checked too; without one, `check` is given None.
        many: whether it holds several values.
        names_classes: whether it holds classes: indices, names or WordNet ids.
        blends: whether a class may be a blend too, as in `sngan_cond.blends.class_blend`.
        beside: fields declared before it, whose checked values `check` is given too.
        recipe: its name in the recipe, among the entries that not every kind of request has.
        argument: its name in the call of the function `tab`, where that takes the value as it is.
    """
    metadata = {"key": key, "check": check, "many": many, "names_classes": names_classes, "blends": blends}
    return field(default=default, metadata=metadata | {"beside": beside, "recipe": recipe, "argument": argument})


@dataclass(frozen=True, kw_only=True)
class Request(ABC):
    """A request for images.

    Args:
        model: name of a model of this page, or a Hub repo; empty takes the first.
        revision: branch, tag or commit hash of a repo; empty takes its default.
        weights_sha256: first 12 digits of the sha256 of the weights that a link was made with, where the model is a
            folder; changes no image.
        seed: 0 to 2**63 - 1; draws the latents.
    """

    tab: ClassVar[str]  # also the name of the function in sngan_cond and of the subcommand, where there is one
    trigger_keys: ClassVar[tuple[str, ...]]  # a link with any of these keys asks for images at once
    draw: ClassVar[Callable[..., Inputs]]  # of sngan_cond.inputs: takes what the function `tab` takes
    moves: ClassVar[bool] = False  # whether the images are the steps of a path, to be shown as an animation too
    has_command: ClassVar[bool] = False
    no_class: ClassVar[str | None] = None  # refusal, where the class may be left out for models without classes only
    class_twice: ClassVar[str | None] = None  # refusal, where classes have to be distinct

    model: str = asked("model", partial(limits.text, "model"), "")
    revision: str = asked("revision", partial(limits.text, "revision"), "")
    weights_sha256: str = asked("weights", limits.weights_sha256, "")
    seed: int = asked("seed", partial(limits.seed, "seed"), 0, recipe="seed", argument="seed")

    @classmethod
    def parse(cls, **values: Any) -> Self:
        """Check values as they came from the page, a link or a client.

        Args:
            values: by field name; a missing one takes the field's default.
        Raises:
            InvalidRequest: naming the field, the value and what is allowed; its `field` is the field's name.
        """
        checked: dict[str, Any] = {}
        for entry in cls._own_first():
            value = values.get(entry.name, None if entry.default is MISSING else entry.default)
            beside = (checked[name] for name in entry.metadata["beside"])
            try:
                checked[entry.name] = entry.metadata["check"](value, *beside)
            except InvalidRequest as error:
                error.field = entry.name
                raise
        return cls(**checked)

    @classmethod
    def from_query(cls, query: Query) -> Self:
        """Read a link's query and check it as `parse` does; keys that mean nothing here are ignored."""
        values: dict[str, Any] = {}
        for entry in fields(cls):
            if texts := query.get(entry.metadata["key"]):
                values[entry.name] = texts if entry.metadata["many"] else texts[0]
        return cls.parse(**values)

    def link(self) -> str:
        """Return a link that asks for the same images again, from the question mark on."""
        # In a query these mean themselves, so that the name of a latent stays readable.
        return "?" + urlencode([("tab", self.tab), *self._texts(fields(self))], safe=":~()*")

    def command(self, source: str) -> str | None:
        """Return the shell command that makes the images of model `source` again; None where there is none."""
        if not self.has_command:
            return None
        words = ["sngan-cond", self.tab, "--model", source]
        # The source says which model, and of which weights.
        for key, text in replace(self, model="", revision="", weights_sha256="")._texts(self._own_first()):
            words += [f"--{key.replace('_', '-')}", text]
        return shlex.join([*words, "--out", f"{self.tab}.gif" if self.moves else "grid.png"])

    def python(self, source: str, labels: list[Label]) -> str:
        """Return Python that makes the images of model `source` again, as `images` (N, 3, R, R) uint8."""
        arguments = ", ".join(f"{name}={text}" for name, text in self.python_arguments(labels).items())
        return (
            f"from sngan_cond import Generator, {self.tab}\n"
            f"G = Generator.from_pretrained({source!r})\n"
            f"images = {self.tab}(G, {arguments})"
        )

    def named(self, by: str) -> dict[str, Any]:
        """Return the values of the fields that have a name by "recipe" or "argument", under it; not empty texts."""
        values: dict[str, Any] = {}
        for entry in self._own_first():
            value = getattr(self, entry.name)
            if (name := entry.metadata[by]) and value != "" and entry.name not in self.unused:
                values[name] = list(value) if entry.metadata["many"] else value
        return values

    @property
    def unused(self) -> tuple[str, ...]:
        """Fields that mean nothing beside the others, and are told nowhere."""
        return ()

    @property
    def class_texts(self) -> tuple[str, ...]:
        """The classes as the visitor named them: indices, names or WordNet ids, or blends."""
        return tuple(text for _, text in self._texts(self._class_fields()))

    @classmethod
    def deal(cls, labels: Iterable[str]) -> dict[str, Any]:
        """Return the values of the fields that hold classes, by name, if these are the classes."""
        rest = iter(labels)
        return {f.name: tuple(rest) if f.metadata["many"] else next(rest, "") for f in cls._class_fields()}

    def with_labels(self, G: Generator, labels: list[Label]) -> Self:
        """Return the same request with its classes written as `text_of` writes them, the labels of `class_texts`."""
        return replace(self, **self.deal(text_of(G.config, label) for label in labels))

    def labels(self, G: Generator) -> list[Label]:
        """Find the labels of `class_texts`; a blend of several classes is one of them, as text.

        Raises:
            InvalidRequest: if a class is unknown or ambiguous, or the model has none.
        """
        entries = self._class_fields()
        first = entries[0].name
        if self.no_class and self.class_texts and not G.config.num_classes:
            raise InvalidRequest("this model has no classes: leave the class out", first)
        if self.no_class and G.config.num_classes and not self.class_texts:
            raise InvalidRequest(self.no_class, first)
        labels: list[Label] = []
        for entry in entries:
            look_up = label_of if entry.metadata["blends"] else resolve_class
            try:
                labels += [look_up(G.config, text) for _, text in self._texts([entry])]
            except ValueError as error:
                raise InvalidRequest(str(error), entry.name) from error
        if self.class_twice and len(set(labels)) != len(labels):
            raise InvalidRequest(self.class_twice, first)
        classes = {index for label in labels for index in classes_in(G.config, label)}
        if len(classes) > LIMITS.mixture_classes and any(isinstance(label, str) for label in labels):
            raise InvalidRequest(
                f"{len(classes)} classes in a blend: at most {LIMITS.mixture_classes} are allowed", first
            )
        return labels

    def origins(self, G: Generator, labels: list[Label]) -> list[Origin]:
        """Return where each image comes from, in their order.

        Args:
            labels: of `labels`.
        Raises:
            InvalidRequest: if the name of a latent would be too long.
        """
        try:
            return self.image_origins(G, labels)
        except ValueError as error:
            raise InvalidRequest(str(error), "latent") from error

    @abstractmethod
    def image_origins(self, G: Generator, labels: list[Label]) -> list[Origin]:
        """Return what `origins` does; a name that is too long may be any ValueError."""

    def inputs(self, G: Generator, labels: list[Label]) -> Inputs:
        """Draw the generator's inputs.

        Raises:
            InvalidRequest: if sampling refuses them, such as weights that are 0 in float32.
        """
        try:
            return self.draw(G, **self.arguments(labels))
        except ValueError as error:
            raise InvalidRequest(str(error)) from error

    def arguments(self, labels: list[Label]) -> dict[str, Any]:
        """Return the arguments of the function `tab` of `sngan_cond`."""
        return self.class_arguments(labels) | self.named("argument")

    @abstractmethod
    def class_arguments(self, labels: list[Label]) -> dict[str, Any]:
        """Return those arguments that depend on the labels."""

    def python_arguments(self, labels: list[Label]) -> dict[str, str]:
        """Return `arguments` as source code, by name."""
        return {name: repr(value) for name, value in self.arguments(labels).items()}

    def told(self, names: list[str]) -> str:
        """Return what the images are, in a few words, for classes with these names."""
        return ", ".join(names) or "images"

    def titles(self, names: list[str]) -> list[str]:
        """Return the title of each row of images, or one for them all."""
        return [self.told(names)]

    def parents(self, config: GeneratorConfig, labels: list[Label]) -> list[Origin]:
        """Return the images that these come from, if they come from any."""
        return []

    def captions(self, images: int, names: list[str]) -> list[str]:
        """Return the text below each of so many images of the classes with these names."""
        return [f"{i + 1}" for i in range(images)]

    def rows(self, classes: int) -> int:
        """Return how many rows the command line lays images of so many classes out in; 0 means a square."""
        return 1 if self.moves else 0

    @classmethod
    def _class_fields(cls) -> "list[Field[Any]]":
        return [entry for entry in fields(cls) if entry.metadata["names_classes"]]

    @classmethod
    def _own_first(cls) -> "list[Field[Any]]":
        """Return the fields in the order in which they are checked and written as options, entries and arguments."""
        return sorted(fields(cls), key=lambda entry: entry.name not in cls.__annotations__)

    def _texts(self, chosen: "Iterable[Field[Any]]") -> Iterator[tuple[str, str]]:
        """Yield key and text of each value of some fields; what is empty or unused is left out."""
        for entry in chosen:
            value = getattr(self, entry.name)
            for single in value if entry.metadata["many"] else [value]:
                if single not in ("", None) and entry.name not in self.unused:
                    yield entry.metadata["key"], str(single)


def request_of(query: Query, kinds: Iterable[type[Request]]) -> Request | None:
    """Read a link's query.

    Args:
        query: unknown keys are ignored.
    Returns:
        The request, or None if the link asks for no images, such as one to a model alone or to another tab.
    Raises:
        InvalidRequest: if a value is not allowed.
    """
    tab = next(iter(query.get("tab", [])), "sample")
    kind = next((kind for kind in kinds if kind.tab == tab), None)
    if kind is None or not any(query.get(key) for key in kind.trigger_keys):
        return None
    return kind.from_query(query)
