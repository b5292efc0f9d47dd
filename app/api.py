"""The page's named endpoints, for `gradio_client`, for curl and, with `--mcp`, as tools of an assistant.

Clients and assistants see the endpoints' signatures and docstrings, whose sections Gradio reads.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app.files import ResultFiles, write_result
from app.limits import LIMITS
from app.requests.links import AnyRequest
from app.requests.mixture import MixtureRequest
from app.requests.morph import MorphRequest
from app.requests.sample import SampleRequest
from app.requests.walk import WalkRequest
from app.service import Result, Service
from app.tabs.page import GROUP, friendly, results_folder

File = dict[str, Any]  # Gradio's FileData: clients get a local path, assistants the image


def add_api(service: Service) -> None:
    """Add the endpoints to the Blocks that is being built."""
    for endpoint in endpoints(service):
        group = None if endpoint.__name__ in ("classes", "models") else GROUP
        gr.api(
            endpoint,
            api_name=endpoint.__name__,
            concurrency_id=group,
            concurrency_limit=LIMITS.requests_at_once,
        )


def endpoints(service: Service) -> list[Callable[..., Any]]:
    """Return the functions behind the endpoints."""

    def sample(
        classes: list[str],
        count: int = 4,
        seed: int = 0,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        http_request: gr.Request | None = None,
    ) -> tuple[File, list[File], dict[str, Any]]:
        """Make images of classes with a class-conditional GAN. The same arguments give the same images.

        A lower truncation gives more typical and less varied images. The classes endpoint finds classes.

        Args:
            classes: Class indices, names or WordNet ids, such as ["golden retriever", "n03445777", "7"].
            count: Images of each class, from 1; at most 64 images in all.
            seed: Seed of the latents, 0 to 2**63 - 1.
            truncation: From 0.05; latents beyond this many standard deviations are drawn again; null for none.
            model: A model of this page, or a Hub repo that it allows; empty for its first.
            revision: Branch, tag or commit hash of a Hub repo; empty for the newest.

        Returns:
            Grid as a PNG, with a row for each class.
            Images as PNGs.
            Recipe: everything that is needed to make them again.
        """
        values = {"classes": classes, "count": count, "seed": seed}
        values |= {"truncation": truncation, "model": model, "revision": revision}
        return _still(*_make(service, SampleRequest, values, http_request))

    def morph(
        from_class: str,
        to_class: str,
        steps: int = 8,
        seed: int = 0,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        http_request: gr.Request | None = None,
    ) -> tuple[File, File, list[File], dict[str, Any]]:
        """Morph one class into another with one latent, by blending gains and biases of the conditional batch norms.

        Args:
            from_class: Class of the first image: index, name or WordNet id.
            to_class: Class of the last image: index, name or WordNet id.
            steps: Images, 2 to 48.
            seed: Seed of the latent, 0 to 2**63 - 1.
            truncation: From 0.05; latents beyond this many standard deviations are drawn again; null for none.
            model: A model of this page, or a Hub repo that it allows; empty for its first.
            revision: Branch, tag or commit hash of a Hub repo; empty for the newest.

        Returns:
            Strip of all images as a PNG.
            Animation as a GIF.
            Images as PNGs.
            Recipe: everything that is needed to make them again.
        """
        values = {"from_class": from_class, "to_class": to_class, "steps": steps, "seed": seed}
        values |= {"truncation": truncation, "model": model, "revision": revision}
        return _moving(*_make(service, MorphRequest, values, http_request))

    def mixture(
        classes: list[str],
        weights: list[float],
        count: int = 4,
        seed: int = 0,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        http_request: gr.Request | None = None,
    ) -> tuple[File, list[File], dict[str, Any]]:
        """Make images of a blend of classes.

        Args:
            classes: Up to 6 classes: indices, names or WordNet ids.
            weights: A weight for each class, from 0; they are divided by their sum.
            count: Images, 1 to 64.
            seed: Seed of the latents, 0 to 2**63 - 1.
            truncation: From 0.05; latents beyond this many standard deviations are drawn again; null for none.
            model: A model of this page, or a Hub repo that it allows; empty for its first.
            revision: Branch, tag or commit hash of a Hub repo; empty for the newest.

        Returns:
            Grid as a PNG.
            Images as PNGs.
            Recipe: everything that is needed to make them again.
        """
        values = {"classes": classes, "weights": weights, "count": count, "seed": seed}
        values |= {"truncation": truncation, "model": model, "revision": revision}
        return _still(*_make(service, MixtureRequest, values, http_request))

    def walk(
        class_name: str,
        from_seed: int = 0,
        to_seed: int = 1,
        steps: int = 8,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        http_request: gr.Request | None = None,
    ) -> tuple[File, File, list[File], dict[str, Any]]:
        """Walk from one latent to another within a class.

        Args:
            class_name: Index, name or WordNet id; empty only for a model without classes.
            from_seed: Seed of the first latent, 0 to 2**63 - 1.
            to_seed: Seed of the last latent, 0 to 2**63 - 1.
            steps: Images, 2 to 48.
            truncation: From 0.05; latents beyond this many standard deviations are drawn again; null for none.
            model: A model of this page, or a Hub repo that it allows; empty for its first.
            revision: Branch, tag or commit hash of a Hub repo; empty for the newest.

        Returns:
            Strip of all images as a PNG.
            Animation as a GIF.
            Images as PNGs.
            Recipe: everything that is needed to make them again.
        """
        values = {"class_": class_name, "seed": from_seed, "to_seed": to_seed, "steps": steps}
        values |= {"truncation": truncation, "model": model, "revision": revision}
        return _moving(*_make(service, WalkRequest, values, http_request))

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
            return [vars(entry) for entry in service.classes(service.open(model, revision), query, limit)]

    def models() -> dict[str, Any]:
        """List the models of this page, and what further Hub repos it opens.

        Returns:
            The models' names, and patterns of repo names that can be given as a model too.
        """
        return {"models": service.models.names, "repos": list(service.models.patterns)}

    return [sample, morph, mixture, walk, classes, models]


def _make(
    service: Service, kind: type[AnyRequest], values: dict[str, Any], http_request: gr.Request | None
) -> tuple[Result, ResultFiles]:
    with friendly():
        visitor = "" if http_request is None else http_request.session_hash or ""
        result = service.make(kind.parse(**values), visitor=visitor)
    return result, write_result(result, results_folder())


def _still(result: Result, files: ResultFiles) -> tuple[File, list[File], dict[str, Any]]:
    return _file(files.grid), [_file(path) for path in files.images], result.recipe


def _moving(result: Result, files: ResultFiles) -> tuple[File, File, list[File], dict[str, Any]]:
    assert files.animation is not None
    return _file(files.grid), _file(files.animation), [_file(path) for path in files.images], result.recipe


def _file(path: Path) -> File:
    return gr.FileData(path=str(path), orig_name=path.name).model_dump()
