"""How the page is served: looks, and as little access as will do."""

import os
from pathlib import Path
from typing import Any

from app.theme import page_theme


def settle_environment() -> None:
    """Keep both from reporting home, and Gradio from summing up its statistics after every request.

    The statistics are for a monitoring page that is switched off here; they would load pandas and, for each request, go
    through the last 10,000. What the environment already says stays.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "64")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(2**62))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


STATIC = Path(__file__).parent / "static"


def launch_options() -> dict[str, Any]:
    """Return what `Blocks.launch` is given whatever the command line says: looks, and as little access as will do."""
    return {
        "theme": page_theme(),
        "css_paths": [STATIC / "page.css"],
        "head_paths": [STATIC / "head.html"],
        "footer_links": ["api", "settings"],
        "run_history": False,
        "allowed_paths": [],
        "max_file_size": "1kb",  # nothing on this page takes a file
        "enable_monitoring": False,
        "state_session_capacity": 1000,
        "share": False,
        "ssr_mode": False,
    }
