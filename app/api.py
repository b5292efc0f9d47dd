"""The page's named endpoints, for `gradio_client`, for curl and, with `--mcp`, as tools of an assistant.

Clients and assistants see the endpoints' signatures and docstrings, whose sections Gradio reads.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from app.limits import LIMITS
from app.requests.base import Request
from app.requests.mixture import MixtureRequest
from app.requests.morph import MorphRequest
from app.requests.sample import SampleRequest
from app.requests.walk import WalkRequest
from app.service import Service
from app.tabs.tab import GROUP, friendly, make

File = dict[str, Any]  # Gradio's FileData: clients get a local path, assistants the image
Still = tuple[File, list[File], dict[str, Any]]
Moving = tuple[File, File, list[File], dict[str, Any]]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_SHARED = {
    "truncation": "From 0.05; latents beyond this many standard deviations are drawn again; null for none.",
    "model": "A model of this page, or a Hub repo that it allows; empty for its first.",
    "revision": "Branch, tag or commit hash of a Hub repo; empty for the newest.",
}


def add_api(service: Service) -> None:
    """Add the endpoints to the Blocks that is being built."""
    for endpoint in endpoints(service):
        name = endpoint.__name__
        group = None if name in ("classes", "models") else GROUP
        gr.api(endpoint, api_name=name, concurrency_id=group, concurrency_limit=LIMITS.requests_at_once)


def endpoints(service: Service) -> list[Callable[..., Any]]:
    """Return the functions behind the endpoints."""
    api = _Endpoints(service)
    return [api.sample, api.morph, api.mixture, api.walk, api.classes, api.models]


def _also_takes(*names: str) -> Callable[[Endpoint], Endpoint]:
    """Append arguments that several endpoints have to a docstring's Args."""
    lines = "".join(f"    {name}: {_SHARED[name]}\n" for name in names)

    def document(endpoint: Endpoint) -> Endpoint:
        endpoint.__doc__ = inspect.cleandoc(endpoint.__doc__ or "").replace("\n\nReturns:", f"\n{lines}\nReturns:")
        return endpoint

    return document


class _Endpoints:
    def __init__(self, service: Service) -> None:
        self._service = service

    @_also_takes("truncation", "model", "revision")
    def sample(
        self,
        classes: list[str],
        count: int = 4,
        seed: int = 0,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        http_request: gr.Request | None = None,
    ) -> Still:
        """Make images of classes with a class-conditional GAN. The same arguments give the same images.

        A lower truncation gives more typical and less varied images. The classes endpoint finds classes.

        Args:
            classes: Class indices, names or WordNet ids, such as ["golden retriever", "n03445777", "7"].
            count: Images of each class, from 1; at most 64 images in all.
            seed: Seed of the latents, 0 to 2**63 - 1.

        Returns:
            Grid as a PNG, with a row for each class.
            Images as PNGs.
            Recipe: everything that is needed to make them again.
        """
        own = {"classes": classes, "count": count, "seed": seed}
        return self._make(SampleRequest, own, truncation, model, revision, http_request)

    @_also_takes("truncation", "model", "revision")
    def morph(
        self,
        from_class: str,
        to_class: str,
        steps: int = 8,
        seed: int = 0,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        http_request: gr.Request | None = None,
    ) -> Moving:
        """Morph one class into another with one latent, by blending gains and biases of the conditional batch norms.

        Args:
            from_class: Class of the first image: index, name or WordNet id.
            to_class: Class of the last image: index, name or WordNet id.
            steps: Images, 2 to 48.
            seed: Seed of the latent, 0 to 2**63 - 1.

        Returns:
            Strip of all images as a PNG.
            Animation as a GIF.
            Images as PNGs.
            Recipe: everything that is needed to make them again.
        """
        own = {"from_class": from_class, "to_class": to_class, "steps": steps, "seed": seed}
        return self._make(MorphRequest, own, truncation, model, revision, http_request)

    @_also_takes("truncation", "model", "revision")
    def mixture(
        self,
        classes: list[str],
        weights: list[float],
        count: int = 4,
        seed: int = 0,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        http_request: gr.Request | None = None,
    ) -> Still:
        """Make images of a blend of classes.

        Args:
            classes: Up to 6 classes: indices, names or WordNet ids.
            weights: A weight for each class, from 0; they are divided by their sum.
            count: Images, 1 to 64.
            seed: Seed of the latents, 0 to 2**63 - 1.

        Returns:
            Grid as a PNG.
            Images as PNGs.
            Recipe: everything that is needed to make them again.
        """
        own = {"classes": classes, "weights": weights, "count": count, "seed": seed}
        return self._make(MixtureRequest, own, truncation, model, revision, http_request)

    @_also_takes("truncation", "model", "revision")
    def walk(
        self,
        class_name: str,
        from_seed: int = 0,
        to_seed: int = 1,
        steps: int = 8,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        http_request: gr.Request | None = None,
    ) -> Moving:
        """Walk from one latent to another within a class.

        Args:
            class_name: Index, name or WordNet id; empty only for a model without classes.
            from_seed: Seed of the first latent, 0 to 2**63 - 1.
            to_seed: Seed of the last latent, 0 to 2**63 - 1.
            steps: Images, 2 to 48.

        Returns:
            Strip of all images as a PNG.
            Animation as a GIF.
            Images as PNGs.
            Recipe: everything that is needed to make them again.
        """
        own = {"class_": class_name, "seed": from_seed, "to_seed": to_seed, "steps": steps}
        return self._make(WalkRequest, own, truncation, model, revision, http_request)

    @_also_takes("model", "revision")
    def classes(self, query: str = "", limit: int = 20, model: str = "", revision: str = "") -> list[dict[str, Any]]:
        """Find classes of a model by part of a name, by WordNet id or by index.

        Args:
            query: What to look for; empty lists the first classes.
            limit: How many at most, 1 to 2000.

        Returns:
            Classes, best first, each with index, name and wordnet_id; the index works wherever a class is expected.
        """
        with friendly():
            return self._service.classes(self._service.open(model, revision), query, limit)

    def models(self) -> dict[str, Any]:
        """List the models of this page, and what further Hub repos it opens.

        Returns:
            The models' names, and patterns of repo names that can be given as a model too.
        """
        return {"models": self._service.models.names, "repos": list(self._service.models.patterns)}

    def _make(
        self,
        kind: type[Request],
        own: dict[str, Any],
        truncation: float | None,
        model: str,
        revision: str,
        http_request: gr.Request | None,
    ) -> tuple[Any, ...]:
        values = {**own, "truncation": truncation, "model": model, "revision": revision}
        result, files = make(self._service, kind, values, http_request)
        animation = [] if files.animation is None else [_file(files.animation)]
        return _file(files.grid), *animation, [_file(path) for path in files.images], result.recipe


def _file(path: Path) -> File:
    return gr.FileData(path=str(path), orig_name=path.name).model_dump()
