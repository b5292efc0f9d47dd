"""What was loaded, in a line: names and values from the model itself and from what its author measured."""

import html

from app.limits import short_repr
from app.models import Model
from sngan_cond.hub.cards import check_metrics
from sngan_cond.hub.files import PretrainedError

METRICS_SHOWN = 4
Facts = list[tuple[str, str]]


def facts_of(model: Model) -> Facts:
    """Return what was loaded, as names and values.

    Args:
        model: open model.
    """
    config = model.config
    count = sum(parameter.numel() for parameter in model.G.parameters())
    facts = [("", model.name), ("pixels", f"{config.resolution} × {config.resolution}")]
    facts.append(("classes", f"{config.num_classes:,}" if config.num_classes else "none"))
    facts.append(("parameters", f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count:,}"))
    step = model.training.get("step")
    if isinstance(step, int):
        facts.append(("step", f"{step:,}" if abs(step) < 1e12 else short_repr(step)))
    if model.commit_hash:
        facts.append(("commit", model.commit_hash))
    elif model.weights_sha256:
        facts.append(("weights", f"sha256 {model.weights_sha256[:12]}"))
    return facts + _metrics(model)


def _metrics(model: Model) -> Facts:
    """Return the first scores, each with the protocol and the extractor without which it means nothing."""
    if not model.metrics:
        return []
    try:
        rows = check_metrics(model.metrics)
    except PretrainedError as error:
        return [("metrics", str(error))]
    more = [("metrics", f"{len(rows) - METRICS_SHOWN} more on the card")] if len(rows) > METRICS_SHOWN else []
    scores = [
        (row["name"][:60], f"{row['value']:.4g} ({row['protocol'][:60]}, {row['extractor'][:60]})")
        for row in rows[:METRICS_SHOWN]
    ]
    return scores + more


def facts_html(facts: Facts) -> str:
    """Return the facts as a list, harmless whatever they say.

    Args:
        facts: names and values; a name may be empty.
    """
    if not facts:
        return '<p class="facts" role="status">Opening the model…</p>'
    items = "".join(
        f"<li>{f'<span>{html.escape(name)}</span> ' if name else ''}<b>{html.escape(value)}</b></li>"
        for name, value in facts
    )
    return f'<ul class="facts" aria-label="What was loaded">{items}</ul>'
