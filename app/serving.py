"""How the page is served: the environment before Gradio is imported, and what `launch` is given."""

import os
from pathlib import Path
from typing import Any

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
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")  # uvicorn's: who may say for whom a request is


def launch_options() -> dict[str, Any]:
    """Return what `Blocks.launch` is always given: the looks, and as little access as will do."""
    from app.limits import LIMITS  # imports torch, and the theme Gradio, which should find the environment settled
    from app.theme import page_theme

    return {
        "theme": page_theme(),
        "css_paths": [STATIC / "page.css"],
        "head_paths": [STATIC / "head.html"],
        "footer_links": ["api", "settings"],
        "run_history": False,
        "allowed_paths": [],
        # Also how many events Gradio takes up at a time, first come, first served: room for all requests that may be
        # waiting, and as much again for those that are refused or need no turn. Coroutines take no thread.
        "max_threads": 2 * LIMITS.waiting,
        "max_file_size": "1kb",  # nothing on this page takes a file
        "enable_monitoring": False,
        "state_session_capacity": 1000,
        "share": False,
        "ssr_mode": False,
    }
