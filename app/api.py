"""The page's named endpoints, for `gradio_client`, for curl and, with `--mcp`, as tools of an assistant."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app.files import ResultFiles, write_result
from app.limits import LIMITS
from app.requests.base import AnyRequest, MixtureRequest, MorphRequest, SampleRequest, WalkRequest
from app.service import Result, Service
from app.tabs.page import GROUP, friendly, results_folder

File = dict[str, Any]  # Gradio's FileData: clients get a local path, assistants the picture


def add_api(service: Service) -> None:
    """Add the endpoints to the Blocks that is being built.

    Args:
        service: that does the work.
    """
    for endpoint in endpoints(service):
        group = None if endpoint.__name__ in ("classes", "models") else GROUP
        gr.api(
            endpoint,
            api_name=endpoint.__name__,
            concurrency_id=group,
            concurrency_limit=LIMITS.requests_at_once,
        )


def endpoints(service: Service) -> list[Callable[..., Any]]:
    """Return the functions behind the endpoints; Gradio reads their signatures and docstrings.

    Args:
        service: that does the work.
    """

    def sample(
        classes: list[str],
        count: int = 4,
        seed: int = 0,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        request: gr.Request | None = None,
    ) -> tuple[File, list[File], dict[str, Any]]:
        """Make pictures of classes with a class-conditional GAN. The same arguments give the same pictures.

        A lower truncation gives more typical and less varied pictures. The classes endpoint finds classes.

        Args:
            classes: Class indices, names or WordNet ids, such as ["golden retriever", "n03445777", "7"].
            count: Pictures of each class, from 1; at most 64 pictures in all.
            seed: Seed of the latents, 0 to 2**63 - 1.
            truncation: From 0.05; latents beyond this many standard deviations are drawn again; null for none.
            model: A model of this page, or a Hub repo that it allows; empty for its first.
            revision: Branch, tag or commit hash of a Hub repo; empty for the newest.

        Returns:
            Grid as a PNG, with a row for each class.
            Pictures as PNGs.
            Recipe: everything that is needed to make them again.
        """
        ask_values = {"classes": classes, "count": count, "seed": seed, "truncation": truncation}
        result, files = _make(service, SampleRequest, {**ask_values, "model": model, "revision": revision}, request)
        return _file(files.grid), [_file(path) for path in files.pictures], result.recipe

    def morph(
        from_class: str,
        to_class: str,
        steps: int = 8,
        seed: int = 0,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        request: gr.Request | None = None,
    ) -> tuple[File, File, list[File], dict[str, Any]]:
        """Morph one class into another with one latent, by blending gains and biases of the conditional batch norms.

        Args:
            from_class: Class of the first picture: index, name or WordNet id.
            to_class: Class of the last picture: index, name or WordNet id.
            steps: Pictures, 2 to 48.
            seed: Seed of the latent, 0 to 2**63 - 1.
            truncation: From 0.05; latents beyond this many standard deviations are drawn again; null for none.
            model: A model of this page, or a Hub repo that it allows; empty for its first.
            revision: Branch, tag or commit hash of a Hub repo; empty for the newest.

        Returns:
            Strip of all pictures as a PNG.
            Animation as a GIF.
            Pictures as PNGs.
            Recipe: everything that is needed to make them again.
        """
        ask_values = {"from_class": from_class, "to_class": to_class, "steps": steps, "seed": seed}
        ask_values |= {"truncation": truncation, "model": model, "revision": revision}
        return _moving(*_make(service, MorphRequest, ask_values, request))

    def mixture(
        classes: list[str],
        weights: list[float],
        count: int = 4,
        seed: int = 0,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        request: gr.Request | None = None,
    ) -> tuple[File, list[File], dict[str, Any]]:
        """Make pictures of a blend of classes.

        Args:
            classes: Up to 6 classes: indices, names or WordNet ids.
            weights: A weight for each class, from 0; they are divided by their sum.
            count: Pictures, 1 to 64.
            seed: Seed of the latents, 0 to 2**63 - 1.
            truncation: From 0.05; latents beyond this many standard deviations are drawn again; null for none.
            model: A model of this page, or a Hub repo that it allows; empty for its first.
            revision: Branch, tag or commit hash of a Hub repo; empty for the newest.

        Returns:
            Grid as a PNG.
            Pictures as PNGs.
            Recipe: everything that is needed to make them again.
        """
        ask_values = {"classes": classes, "weights": weights, "count": count, "seed": seed}
        ask_values |= {"truncation": truncation, "model": model, "revision": revision}
        result, files = _make(service, MixtureRequest, ask_values, request)
        return _file(files.grid), [_file(path) for path in files.pictures], result.recipe

    def walk(
        class_name: str,
        from_seed: int = 0,
        to_seed: int = 1,
        steps: int = 8,
        truncation: float | None = None,
        model: str = "",
        revision: str = "",
        request: gr.Request | None = None,
    ) -> tuple[File, File, list[File], dict[str, Any]]:
        """Walk from one latent to another within a class.

        Args:
            class_name: Index, name or WordNet id; empty only for a model without classes.
            from_seed: Seed of the first latent, 0 to 2**63 - 1.
            to_seed: Seed of the last latent, 0 to 2**63 - 1.
            steps: Pictures, 2 to 48.
            truncation: From 0.05; latents beyond this many standard deviations are drawn again; null for none.
            model: A model of this page, or a Hub repo that it allows; empty for its first.
            revision: Branch, tag or commit hash of a Hub repo; empty for the newest.

        Returns:
            Strip of all pictures as a PNG.
            Animation as a GIF.
            Pictures as PNGs.
            Recipe: everything that is needed to make them again.
        """
        ask_values = {"class_": class_name, "seed": from_seed, "to_seed": to_seed, "steps": steps}
        ask_values |= {"truncation": truncation, "model": model, "revision": revision}
        return _moving(*_make(service, WalkRequest, ask_values, request))

    def classes(query: str = "", limit: int = 20, model: str = "", revision: str = "") -> list[dict[str, Any]]:
        """Find classes of a model by part of a name, by WordNet id or by index.

        Args:
            query: What to look for; empty lists the first classes.
            limit: How many at most, 1 to 2000.
            model: A model of this page, or a Hub repo that it allows; empty for its first.
            revision: Branch, tag or commit hash of a Hub repo; empty for the newest.

        Returns:
            Classes, best first, each with index, name and wordnet_id; the index works wherever a class is asked for.
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
    service: Service, kind: type[AnyRequest], values: dict[str, Any], request: gr.Request | None
) -> tuple[Result, ResultFiles]:
    with friendly():
        visitor = "" if request is None else request.session_hash or ""
        result = service.make(kind.parse(**values), visitor=visitor)
    return result, write_result(result, results_folder())


def _moving(result: Result, files: ResultFiles) -> tuple[File, File, list[File], dict[str, Any]]:
    assert files.animation is not None
    return _file(files.grid), _file(files.animation), [_file(path) for path in files.pictures], result.recipe


def _file(path: Path) -> File:
    return gr.FileData(path=str(path), orig_name=path.name).model_dump()
