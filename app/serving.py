"""The environment that the page sets before Gradio is imported, and where its static files are."""

import os
from pathlib import Path

# Networks of proxies. Were every address trusted, the first one in a header would count, which the visitor writes.
PRIVATE = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1,fc00::/7"
STATIC = Path(__file__).parent / "static"


def set_environment_defaults() -> None:
    """Switch off the telemetry of Gradio and of the Hub's client, and Gradio's statistics after every request.

    The statistics feed a monitoring page that is switched off here; they would load pandas and go through the last
    10,000 requests for each new one. On a Space, where every visitor comes through a proxy, visitors have the addresses
    that it says. What the environment already says stays.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "64")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(2**62))  # requests between two summaries: never
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if os.environ.get("SPACE_ID"):
        os.environ.setdefault("FORWARDED_ALLOW_IPS", PRIVATE)  # uvicorn's: who may say for whom a request is
