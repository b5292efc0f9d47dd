"""Model cards for published runs: `model_cards/template.md` over a YAML of facts, numbers from the run's JSON alone."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import jinja2
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sngan_cond import GeneratorConfig
from sngan_cond.hub.cards import (
    INSTALL,
    METRIC_KEYS,
    check_metrics,
    escape,
    example_classes,
    remarks,
    samples_address,
    spread,
    with_metadata,
)
from sngan_cond.hub.files import is_repo
from train.errors import TrainError
from train.sections import LicenceId
from train.stored import STRICT, check_as, read_yaml

FOLDER = Path(__file__).parents[2] / "model_cards"
GENERIC = FOLDER / "generic.yaml"
MAX_CLASSES_LISTED = 1000
Text = Annotated[str, Field(min_length=1)]
Address = Annotated[str, Field(pattern=r"^https://[^\s()<>]+$")]


class DataFacts(BaseModel):
    """The training data, for people: name, id on the Hub ("unspecified" without one), address and terms."""

    model_config = STRICT
    name: Text
    id: Text
    url: Address | None
    terms: Text


class Facts(BaseModel):
    """What a card says that no file of the run knows; name and link of a licence belong to `other` alone."""

    model_config = STRICT
    title: Text
    summary: Text
    data: DataFacts
    license: LicenceId | None = Field(description="the Hub's id of one, such as mit or apache-2.0, or other")
    license_name: Text | None = None
    license_link: Address | None = None
    license_text: Text
    tags: list[Text]
    limits: Annotated[list[Text], Field(min_length=1)]

    @model_validator(mode="after")
    def _name_other_licences(self) -> Self:
        given = [value is not None for value in (self.license_name, self.license_link)]
        if given != [self.license == "other"] * 2:
            raise ValueError(f"license={self.license}: name and link are needed for 'other', and allowed for it alone")
        return self


class _Record(BaseModel):
    """A `training.json`; a card lists what else it notes as it stands."""

    model_config = ConfigDict(strict=True, extra="allow")
    config: dict[str, Any] = {}
    data: dict[str, Any] = {}
    init_from: dict[str, Any] | None = None


def load_facts(path: Path) -> Facts:
    """Read a YAML of facts.

    Raises:
        TrainError: if it is missing, no YAML, or a field is missing, unknown or not allowed.
    """
    name = f"--facts {path}"
    return check_as(Facts, read_yaml(path, name=name), name=name)


def with_licence(facts: Facts, licence: str, *, name: str | None = None, link: str | None = None) -> Facts:
    """Return facts that state another licence.

    Args:
        licence: the Hub's id of it.
        name: of a licence without an id, whose id is "other".
        link: https address of that licence's text.
    Raises:
        TrainError: if the id cannot be one, or name and link do not fit it.
    """
    text = f"The weights are released under the licence {licence if name is None else name}."
    stated = {"license": licence, "license_name": name, "license_link": link, "license_text": text}
    return check_as(Facts, facts.model_dump() | stated, name=f"--license {licence}")


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
        repo: "user/name" or "user/name@revision", for the snippets; or a folder's name.
        facts: if they state no licence, that of the run's configuration is stated.
        training: content of `training.json`.
        metrics: content of `metrics.json`.
        samples: whether there is a `samples.png`.
    Returns:
        The text of README.md.
    Raises:
        PretrainedError: if `metrics` is malformed.
        TrainError: if `training` is, or the template does not fit.
    """
    rows = [] if metrics is None else check_metrics(metrics)
    record = check_as(_Record, training or {}, name="training.json")
    run_config, start = flat(record.config), record.init_from or {}
    base_model = start["repo"] if is_repo(start.get("repo")) else None  # the Hub takes repos alone
    if facts.license is None and "hub.license" in run_config:
        facts = with_licence(facts, run_config["hub.license"])
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"md": lambda value: escape(str(value)), "python": repr, "fenced": _fenced}
    context = {
        "facts": facts,
        "config": config,
        "repo": repo,
        "samples": samples_address(repo) if samples else None,
        "install": INSTALL,
        "examples": example_classes(config),
        "classes": (config.class_names or ())[:MAX_CLASSES_LISTED],
        "decay": run_config.get("ema.decay"),
        "data": flat(record.data),
        "training": flat({"init_from": start, **(record.model_extra or {})}),
        "start": start,
        "base_model": base_model,
        "preset": yaml.safe_dump(record.config, sort_keys=False, allow_unicode=True),
        "metrics": [
            {"spread": spread(row), **{key: _cell(row.get(key)) for key in (*METRIC_KEYS, "name", "value")}}
            for row in rows
        ],
        "remarks": remarks(rows),
        "truncation": (metrics or {}).get("truncation"),
        "extractors": {r["extractor"]: r["extractor_sha256"] for r in rows if r.get("extractor_sha256")},
    }
    try:
        body = environment.from_string((FOLDER / "template.md").read_text(encoding="utf-8")).render(context)
    except jinja2.TemplateError as error:
        raise TrainError(f"{FOLDER / 'template.md'}: cannot be rendered ({error})") from error
    return with_metadata(
        re.sub(r"\n{3,}", "\n\n", body),
        config,
        rows,
        model_name=repo.partition("@")[0].rpartition("/")[2],
        dataset_type=facts.data.id,
        dataset_name=facts.data.name,
        tags=facts.tags,
        license=facts.license,
        base_model=base_model,
        license_name=facts.license_name,
        license_link=facts.license_link,
        datasets=None if facts.data.id == "unspecified" else [facts.data.id],
    )


def _cell(value: object) -> object:
    """Return what a table shows of a value: None is left blank, text cannot leave its cell."""
    return "" if value is None else escape(value) if isinstance(value, str) else value


def _fenced(text: str, language: str) -> str:
    """Return a code block that the text cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return values of nested mappings under joined keys such as "ema.decay"; lists as text, None left out."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        elif value is not None:
            found[f"{prefix}{key}"] = ", ".join(map(str, value)) if isinstance(value, list) else value
    return found
