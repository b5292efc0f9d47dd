"""Settings that Gradio and the Hub's client read from the environment when they are imported."""

import os


def settle_environment() -> None:
    """Keep both from reporting home, and Gradio from summing up its statistics after every request.

    The statistics are for a monitoring page that is switched off here; they would load pandas and, for each request, go
    through the last 10,000. What the environment already says stays.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "64")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(2**62))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
