"""Model cards: the metadata that the Hub reads, and the plain card that every saved model carries.

Numbers in a card come from `metrics.json`, `training.json` and the configuration alone.
"""

import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCardData, hf_hub_url

from sngan_cond.classes import class_label
from sngan_cond.config import GeneratorConfig
from sngan_cond.hub.files import SAMPLES_FILE, PretrainedError, is_repo
from sngan_cond.validation import one_line

LIBRARY_NAME = "sngan-cond"
# The Hub has no task for images of a chosen class; its nearest is this one, and a tag says the rest.
PIPELINE_TAG = "unconditional-image-generation"
TAGS = ("gan", "sngan", "image-generation", "pytorch_model_hub_mixin")
_PLAIN = """\
# {title}

A generator of {config.resolution} x {config.resolution} pixel images with {classes}, {config.latent_dim} latent \
dimensions and {parameters} parameters ({config.architecture} architecture), saved by sngan-cond.

{samples}{install}
```python
from sngan_cond import Generator, sample

G = Generator.from_pretrained({name!r})
images = sample(G, {call}, seed=0)  # (N, 3, R, R) uint8
```
"""
INSTALL = """\
```sh
pip install .  # in a clone of sngan-cond; or its wheel: pip install sngan_cond-*.whl
```
"""
METRIC_KEYS = (
    "protocol",
    "extractor",
    "extractor_sha256",
    "real_count",
    "fake_count",
    "seed",
    "std",
    "std_over",
    "remark",
)


def escape(text: str) -> str:
    """Return text that Markdown and HTML show as it is, without tags, links, emphasis or table cells.

    Class names and the like are written by whoever made a model, and a card is shown to others.
    """
    flat = html.escape(" ".join(text.split()), quote=False).replace("://", ":&#47;&#47;").replace("www.", "www&#46;")
    return re.sub(r"([\\`*_{}\[\]()|~$!])", r"\\\1", flat)


def samples_address(name: str) -> str:
    """Return what a card's picture of samples is found by.

    Args:
        name: "user/name" or "user/name@revision", of which the address on the Hub is taken, since a card is also shown
            elsewhere; any other name is a folder's, where the picture lies beside the card.
    """
    repo, _, revision = name.partition("@")
    return hf_hub_url(repo, SAMPLES_FILE, revision=revision or None) if is_repo(repo) else SAMPLES_FILE


def example_classes(config: GeneratorConfig) -> list[str | int]:
    """Return the first classes, two at most, as a snippet says them: by name, by label where a name has other signs."""
    labels = range(min(config.num_classes, 2))
    names = [class_label(config, label) for label in labels]
    if config.class_names is not None and all(re.fullmatch(r"[\w ,./()-]+", name) for name in names):
        return [*names]
    return [*labels]


def check_metrics(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a `metrics.json`.

    Args:
        values: {"metrics": [{"name", "value", "protocol", "extractor", ...}, ...]}.
    Raises:
        PretrainedError: if a row lacks one of these keys, or its value is not a finite number.
    """
    rows = values.get("metrics")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PretrainedError("metrics.json: a list of objects under the key 'metrics' is expected")
    for row in rows:
        for key in ("name", "protocol", "extractor"):
            if not isinstance(row.get(key), str):
                raise PretrainedError(f"metrics.json: a metric's {key} is {row.get(key)!r:.60}; a string is expected")
        value = row.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise PretrainedError(
                f"metrics.json: {one_line(row['name'], 100)} is {value!r:.60}; a finite number is expected"
            )
    return rows


def spread(row: Mapping[str, Any]) -> str:
    """Return a score's standard deviation, and what it is over where the row says it; nothing where it has none."""
    std, over = row.get("std"), row.get("std_over")
    return "" if std is None else escape(f"{std} over {over}" if over else str(std))


def remarks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what a reader of the scores must know, one text a score that says something."""
    return [escape(f"{row['name']}: {row['remark']}") for row in rows if row.get("remark")]


def with_metadata(
    body: str,
    config: GeneratorConfig,
    rows: Sequence[Mapping[str, Any]],
    *,
    model_name: str,
    dataset_type: str,
    dataset_name: str,
    tags: Sequence[str] = (),
    **links: Any,
) -> str:
    """Return a card: metadata for the Hub as YAML between two rules, then the body.

    Args:
        body: Markdown.
        rows: from `check_metrics`; as results beside the model, each says how it was measured.
        model_name: name in the Hub's list of results.
        dataset_type: id of the data set that the real images come from.
        dataset_name: its name for people.
        tags: beside those that every model has.
        links: `license`, `license_name`, `license_link`, `datasets`, `base_model`; left out where None.
    """
    results = [
        EvalResult(
            task_type=PIPELINE_TAG,
            task_name="Class-conditional image generation",
            dataset_type=dataset_type,
            dataset_name=dataset_name,
            metric_type=re.sub(r"\W+", "_", row["name"].lower()).strip("_"),
            metric_name=f"{row['name']} ({row['protocol']}, {row['extractor']})",
            metric_value=row["value"],
            metric_args={key: row[key] for key in METRIC_KEYS if row.get(key) is not None},
        )
        for row in rows
    ]
    data = ModelCardData(
        library_name=LIBRARY_NAME,
        pipeline_tag=PIPELINE_TAG,
        tags=[*TAGS, *(["class-conditional"] if config.num_classes else []), *tags],
        model_name=model_name if results else None,
        eval_results=results or None,
        **links,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{body.strip()}\n"


def plain_card(
    config: GeneratorConfig,
    *,
    name: str,
    parameters: int,
    metrics: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    samples: bool = False,
) -> str:
    """Return the card that `save_pretrained` writes; `train.publish` writes a fuller one.

    Args:
        name: what loads the model: the folder's name, "user/name" or "user/name@revision".
        parameters: number of parameters.
        metrics: content of `metrics.json`, None where there is none.
        training: content of `training.json`, None where there is none.
        samples: whether there is a `samples.png`.
    Raises:
        PretrainedError: if `metrics` is malformed.
    """
    rows = [] if metrics is None else check_metrics(metrics)
    data = (training or {}).get("data")
    body = _PLAIN.format(
        title=escape(name),
        name=name,
        config=config,
        classes=f"{config.num_classes} classes" if config.num_classes else "no classes",
        parameters=parameters,
        samples=f"![Samples]({samples_address(name)})\n\n" if samples else "",
        install=INSTALL,
        call=example_classes(config) if config.num_classes else "n=4",
    )
    if training:
        body += f"\nTrained for {training.get('step')} steps on {training.get('images_seen')} images.\n"
    if rows:
        body += "\n| metric | value | spread | protocol | extractor |\n|---|---|---|---|---|\n"
    for row in rows:
        named = " | ".join(escape(row[key]) for key in ("protocol", "extractor"))
        body += f"| {escape(row['name'])} | {row['value']} | {spread(row)} | {named} |\n"
    body += "".join(f"\n{remark}\n" for remark in remarks(rows))
    return with_metadata(
        body,
        config,
        rows,
        model_name=name.partition("@")[0],
        dataset_type="unspecified",
        dataset_name=str(data.get("source", "training data")) if isinstance(data, Mapping) else "training data",
    )
