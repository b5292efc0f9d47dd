"""What was loaded, in a line: names and values from the model itself and from what its author measured."""

import html

from app.limits import short_repr
from app.models import Model
from sngan_cond.hub.cards import check_metrics
from sngan_cond.hub.files import PretrainedError

METRICS_SHOWN = 4
Summary = list[tuple[str, str]]  # names, which may be empty, and values


def summarise(model: Model) -> Summary:
    """Return what was loaded, as names and values."""
    config = model.config
    count = sum(parameter.numel() for parameter in model.generator.parameters())
    summary = [("", model.name), ("pixels", f"{config.resolution} × {config.resolution}")]
    summary.append(("classes", f"{config.num_classes:,}" if config.num_classes else "none"))
    summary.append(("parameters", f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count:,}"))
    step = model.step  # from anyone's training.json: of any type and any size
    if step is not None:
        summary.append(("step", f"{step:,}" if abs(step) < 1e12 else short_repr(step)))
    if model.commit_hash:
        summary.append(("commit", model.commit_hash))
    elif model.weights_sha256:
        summary.append(("weights", f"sha256 {model.weights_sha256[:12]}"))
    return summary + _metrics(model)


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


def summary_html(summary: Summary) -> str:
    """Return the summary as a list, with every text escaped; an empty one says that the model is being opened."""
    if not summary:
        return '<p class="summary" role="status">Opening the model…</p>'
    items = "".join(
        f"<li>{f'<span>{html.escape(name)}</span> ' if name else ''}<b>{html.escape(value)}</b></li>"
        for name, value in summary
    )
    return f'<ul class="summary" aria-label="What was loaded">{items}</ul>'
