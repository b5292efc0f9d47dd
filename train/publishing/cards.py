"""Model cards for published runs: `model_cards/template.md` over a YAML of facts, numbers from the run's JSON alone."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import jinja2
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sngan_cond import GeneratorConfig
from sngan_cond.hub.cards import METRIC_KEYS, card_data, check_metrics, escape, evaluation_results, with_metadata
from train.errors import TrainError

FOLDER = Path(__file__).parents[2] / "model_cards"
GENERIC = FOLDER / "generic.yaml"
MAX_CLASSES_LISTED = 1000
Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataFacts(_Strict):
    """The training data, for people: name, id on the Hub ("unspecified" without one), address and terms."""

    name: Text
    id: Text
    url: Annotated[str, Field(pattern=r"^https://[^\s()<>]+$")] | None
    terms: Text


class Facts(_Strict):
    """What a card says that no file of the run knows."""

    title: Text
    summary: Text
    data: DataFacts
    license: Text | None
    license_text: Text
    tags: list[Text]
    limits: Annotated[list[Text], Field(min_length=1)]


def load_facts(path: Path) -> Facts:
    """Read a YAML of facts.

    Raises:
        TrainError: if it is missing, no YAML, or a field is missing, unknown or not allowed.
    """
    try:
        return Facts.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise TrainError(f"--facts {path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise TrainError(f"--facts {path}: not YAML ({' '.join(str(error).split())[:200]})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise TrainError(f"--facts {path}: {where}: {first['msg']}") from error


def render_card(
    config: GeneratorConfig,
    *,
    repo: str,
    facts: Facts,
    training: Mapping[str, Any] | None,
    metrics: Mapping[str, Any] | None,
    samples: bool,
) -> str:
    """Render the card of a model.

    Args:
        repo: "user/name", for the snippets.
        facts: about the model.
        training: content of `training.json`.
        metrics: content of `metrics.json`.
        samples: whether there is a `samples.png`.
    Returns:
        The text of README.md.
    Raises:
        PretrainedError: if `metrics` is malformed.
        TrainError: if the template does not fit.
    """
    rows = [] if metrics is None else check_metrics(metrics)
    known = dict(training or {})
    preset, data = known.pop("config", {}), known.pop("data", {})
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"md": lambda value: escape(str(value)), "python": repr, "fenced": _fenced}
    context = {
        "facts": facts,
        "config": config,
        "repo": repo,
        "samples": samples,
        "classes": (config.class_names or ())[:MAX_CLASSES_LISTED],
        "decay": _flat(preset).get("ema.decay"),
        "data": _flat(data),
        "training": _flat(known),
        "preset": yaml.safe_dump(preset, sort_keys=False, allow_unicode=True),
        "metrics": [{key: _cell(row.get(key)) for key in (*METRIC_KEYS, "name", "value")} for row in rows],
        "truncation": (metrics or {}).get("truncation"),
        "extractors": {r["extractor"]: r["extractor_sha256"] for r in rows if r.get("extractor_sha256")},
    }
    try:
        body = environment.from_string((FOLDER / "template.md").read_text(encoding="utf-8")).render(context)
    except jinja2.TemplateError as error:
        raise TrainError(f"{FOLDER / 'template.md'}: cannot be rendered ({error})") from error
    metadata = card_data(
        config,
        model_name=repo.rpartition("/")[2],
        results=evaluation_results(rows, dataset_type=facts.data.id, dataset_name=facts.data.name),
        tags=facts.tags,
        license=facts.license,
        datasets=None if facts.data.id == "unspecified" else [facts.data.id],
    )
    return with_metadata(metadata, re.sub(r"\n{3,}", "\n\n", body))


def _cell(value: object) -> object:
    """Return what a table shows of a value: None is left blank, text cannot leave its cell."""
    return "" if value is None else escape(value) if isinstance(value, str) else value


def _fenced(text: str, language: str) -> str:
    """Return a code block that the text cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flat[f"{prefix}{key}"] = ", ".join(map(str, value)) if isinstance(value, list) else value
    return flat
