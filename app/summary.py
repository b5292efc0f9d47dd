"""What was loaded: names and values from the model itself and from what its author measured."""

import html

from app.limits import short_repr
from app.models import Model
from sngan_cond.hub.cards import check_metrics
from sngan_cond.hub.files import PretrainedError

METRICS_SHOWN = 4
Summary = list[tuple[str, str]]  # names and values


def summarise(model: Model) -> Summary:
    """Return what was loaded, as names and values."""
    summary = [("model", model.name), *_at_a_glance(model)]
    step = model.step  # from anyone's training.json: of any type and any size
    if step is not None:
        summary.append(("step", f"{step:,}" if abs(step) < 1e12 else short_repr(step)))
    if model.commit_hash:
        summary.append(("commit", model.commit_hash))
    elif model.weights_sha256:
        summary.append(("weights", f"sha256 {model.weights_sha256[:12]}"))
    return summary + _metrics(model)


def _at_a_glance(model: Model) -> Summary:
    config = model.config
    count = sum(parameter.numel() for parameter in model.generator.parameters())
    return [
        ("pixels", f"{config.resolution} × {config.resolution}"),
        ("classes", f"{config.num_classes:,}" if config.num_classes else "no"),
        ("parameters", f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count:,}"),
    ]


def _metrics(model: Model) -> Summary:
    """Return the first scores, each with the protocol and the extractor without which it means nothing."""
    if not model.metrics:
        return []
    try:
        metrics = check_metrics(model.metrics)
    except PretrainedError as error:
        return [("metrics", str(error))]
    scores = [
        (metric["name"][:60], f"{metric['value']:.4g} ({metric['protocol'][:60]}, {metric['extractor'][:60]})")
        for metric in metrics[:METRICS_SHOWN]
    ]
    more = len(metrics) - METRICS_SHOWN
    return [*scores, ("metrics", f"{more} more on the card")] if more > 0 else scores


def facts_html(model: Model | None, *, problem: str = "") -> str:
    """Return one line for the top of the page: what matters at a glance, or what is wrong.

    Args:
        model: None while it is being opened.
    """
    line = "" if model is None else " · ".join(f"{value} {name}" for name, value in _at_a_glance(model))
    if problem:
        then = f' data-then="{html.escape(line)}"' if line else ""  # what stands there once all is well again
        return f'<p class="facts wrong" role="alert"{then}>{html.escape(problem)}</p>'
    if model is None:
        return '<p class="facts" role="status">Opening the model…</p>'
    return f'<p class="facts" title="{html.escape(line)}">{html.escape(line)}</p>'


def summary_html(summary: Summary) -> str:
    """Return the whole summary as a list of terms, with every text escaped."""
    items = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in summary)
    return f"<dl>{items}</dl>"
