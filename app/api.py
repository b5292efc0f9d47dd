"""The page's named endpoints, for `gradio_client`, for curl and, with `--mcp`, as tools of an assistant.

Clients and assistants see the endpoints' signatures and docstrings, whose sections Gradio reads. The functions in
`IMAGE_ENDPOINTS` turn the arguments that only they have into values of a request's fields; `_endpoint` adds `_shared`.
"""

import asyncio
import contextlib
import html
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr

from app.files import make_files, results_root
from app.limits import LIMITS, CancelledError, InvalidRequest
from app.requests.base import Request
from app.requests.cross import CrossRequest
from app.requests.mixture import MixtureRequest
from app.requests.morph import MorphRequest
from app.requests.sample import SampleRequest
from app.requests.vary import VaryRequest
from app.requests.walk import WalkRequest
from app.service import Service
from app.turns import Visitor

Values = dict[str, Any]
File = dict[str, Any]  # Gradio's FileData: clients get a local path, assistants the image
Still = tuple[File, list[File], dict[str, Any]]
Moving = tuple[File, File, list[File], dict[str, Any]]


@contextlib.contextmanager
def friendly() -> Iterator[None]:
    """Tell a client's mistake in one sentence: no traceback, and no markup in it."""
    try:
        yield
    except InvalidRequest as error:
        raise gr.Error(
            html.escape(str(error), quote=False), title="That did not work", print_exception=False
        ) from error


def add_api(service: Service) -> None:
    """Add the endpoints to the Blocks that is being built."""
    for endpoint in endpoints(service):
        # Who comes next with images, app/turns.py says; the others take a thread while they run.
        limit = None if inspect.iscoroutinefunction(endpoint) else LIMITS.requests_at_once
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=limit)


def endpoints(service: Service) -> list[Callable[..., Any]]:
    """Return the functions behind the endpoints."""

    def classes(query: str = "", limit: int = 20, model: str = "", revision: str = "") -> list[dict[str, Any]]:
        """Find classes of a model by part of a name, by WordNet id or by index.

        Args:
            query: What to look for; empty lists the first classes.
            limit: How many at most, 1 to 2000.
            model: A model of this page, or a Hub repo that it allows; empty for its first.
            revision: Branch, tag or commit hash of a Hub repo; empty for the newest.

        Returns:
            Classes, best first, each with index, name and wordnet_id; the index works wherever a class is expected.
        """
        with friendly():
            return service.classes(service.open(model, revision), query, limit)

    def models() -> dict[str, Any]:
        """List the models of this page, and what further Hub repos it opens.

        Returns:
            The models' names, and patterns of repo names that can be given as a model too.
        """
        return {"models": service.models.names, "repos": list(service.models.patterns)}

    return [*(_endpoint(service, kind, values_of) for values_of, kind in IMAGE_ENDPOINTS.items()), classes, models]


def sample(classes: list[str], count: int | None = None, seed: int = 0) -> Values:
    """Make images of classes with a class-conditional GAN. The same arguments give the same images.

    A lower truncation gives more typical and less varied images. The classes endpoint finds classes.

    Args:
        classes: Class indices, names or WordNet ids, such as ["golden retriever", "n03445777", "7"].
        count: Images of each class, from 1; at most 64 images in all; null for 4, or for the 1 of a named latent.
        seed: Seed of the latents, 0 to 2**63 - 1.

    Returns:
        Grid as a PNG, with a row for each class.
    """
    return {"classes": classes, "count": count, "seed": seed}


def morph(from_class: str, to_class: str, steps: int = 8, seed: int = 0) -> Values:
    """Morph one class into another with one latent, by blending gains and biases of the conditional batch norms.

    Args:
        from_class: Class of the first image: index, name or WordNet id.
        to_class: Class of the last image: index, name or WordNet id.
        steps: Images, 2 to 48.
        seed: Seed of the latent, 0 to 2**63 - 1.

    Returns:
        Strip of all images as a PNG.
        Animation as a GIF.
    """
    return {"from_class": from_class, "to_class": to_class, "steps": steps, "seed": seed}


def mixture(classes: list[str], weights: list[float], count: int | None = None, seed: int = 0) -> Values:
    """Make images of a blend of classes.

    Args:
        classes: Up to 6 classes: indices, names or WordNet ids.
        weights: A weight for each class, from 0; they are divided by their sum.
        count: Images, 1 to 64; null for 4, or for the 1 of a named latent.
        seed: Seed of the latents, 0 to 2**63 - 1.

    Returns:
        Grid as a PNG.
    """
    return {"classes": classes, "weights": weights, "count": count, "seed": seed}


def walk(class_name: str, from_seed: int = 0, to_seed: int = 1, steps: int = 8) -> Values:
    """Walk from one latent to another within a class.

    Args:
        class_name: Index, name or WordNet id, or a blend such as "8*0.7+2*0.3"; empty only for a model without classes.
        from_seed: Seed of the first latent, 0 to 2**63 - 1.
        to_seed: Seed of the last latent, 0 to 2**63 - 1.
        steps: Images, 2 to 48.

    Returns:
        Strip of all images as a PNG.
        Animation as a GIF.
    """
    return {"class_": class_name, "seed": from_seed, "to_seed": to_seed, "steps": steps}


def vary(latent: str = "0:0", class_name: str = "", radius: float = 0.2, count: int = 8, seed: int = 0) -> Values:
    """Make images near one, that is more like it: each latent moves by the radius towards another one of the seed.

    Args:
        latent: Name of the latent of the image, such as "7:3" or another that a recipe lists.
        class_name: Index, name or WordNet id, or a blend as a recipe lists it; empty only for a model without classes.
        radius: Fraction of the way, 0 to 1; 0 changes nothing.
        count: Images, 1 to 64.
        seed: Seed of the latents that they move towards, 0 to 2**63 - 1.

    Returns:
        Grid as a PNG.
    """
    return {"latent": latent, "class_": class_name, "radius": radius, "count": count, "seed": seed}


def cross(
    latent: str = "0:0", to_latent: str = "1:0", class_name: str = "", to_class: str = "", steps: int = 4
) -> Values:
    """Cross two images: down the rows goes the latent from the one to the other, along each row the class.

    Args:
        latent: Name of the latent of the first image, such as "7:3" or another that a recipe lists.
        to_latent: Name of the latent of the second image.
        class_name: Class of the first image, or a blend as a recipe lists it; empty only for a model without classes.
        to_class: Class of the second image, likewise.
        steps: Rows, and columns where there are classes, 2 to 8.

    Returns:
        Grid as a PNG.
    """
    values = {"latent": latent, "to_latent": to_latent, "steps": steps}
    return values | {"class_": class_name, "to_class": to_class}


IMAGE_ENDPOINTS: dict[Callable[..., Values], type[Request]] = {
    sample: SampleRequest,
    morph: MorphRequest,
    mixture: MixtureRequest,
    walk: WalkRequest,
    vary: VaryRequest,
    cross: CrossRequest,
}


def _shared(
    truncation: float | None = None,
    model: str = "",
    revision: str = "",
    latent: str = "",
    http_request: gr.Request | None = None,
) -> None: ...


_SHARED_ARGS = {
    "truncation": "From 0.05; latents beyond this many standard deviations are drawn again; null for none.",
    "model": "A model of this page, or a Hub repo that it allows; empty for its first.",
    "revision": "Branch, tag or commit hash of a Hub repo; empty for the newest.",
    "latent": 'Name of a latent, such as "7:3" or another that a recipe lists, instead of a seed; empty for the seed.',
}
_SHARED_RETURNS = """
    Images as PNGs.
    Recipe: everything that is needed to make them again."""


def _endpoint(service: Service, kind: type[Request], values_of: Callable[..., Values]) -> Callable[..., Any]:
    """Return the endpoint that takes what `values_of` does and, of what `_shared` does, what such requests have."""
    own, shared = (dict(inspect.signature(function).parameters) for function in (values_of, _shared))
    for name in _SHARED_ARGS.keys() - ({entry.name for entry in fields(kind)} - own.keys()):
        del shared[name]
    signature = inspect.Signature([*own.values(), *shared.values()], return_annotation=Moving if kind.moves else Still)

    async def endpoint(*arguments: Any, **named: Any) -> tuple[Any, ...]:
        given = signature.bind(*arguments, **named)
        given.apply_defaults()
        others = {name: given.arguments.pop(name) for name in shared}
        http_request = others.pop("http_request")
        values = values_of(**given.arguments) | others
        if values.get("count", 0) is None:
            values["count"] = 1 if values["latent"] else 4
        try:
            with friendly():
                request = kind.parse(**values)
                result, folder = await make_files(service, request, Visitor.of(http_request), results_root())
        except CancelledError as error:
            raise gr.Error("This request was stopped.", print_exception=False) from error
        made = await asyncio.to_thread(
            lambda: [folder.file(name) for name in ("grid", *(["gif"] if kind.moves else []))]
        )
        return *map(_file, made), [_file(path) for path in folder.images], result.recipe

    arguments, _, returns = inspect.cleandoc(values_of.__doc__ or "").partition("\n\nReturns:")
    arguments += "".join(f"\n    {name}: {text}" for name, text in _SHARED_ARGS.items() if name in shared)
    endpoint.__doc__ = f"{arguments}\n\nReturns:{returns}{_SHARED_RETURNS}"
    endpoint.__name__ = values_of.__name__
    endpoint.__signature__ = signature  # type: ignore[attr-defined]  # what inspect, and so Gradio, looks at
    endpoint.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return endpoint


def _file(path: Path) -> File:
    return gr.FileData(path=str(path), orig_name=path.name).model_dump()
