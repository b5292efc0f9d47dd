"""How the page is served: looks, and as little access as will do."""

from pathlib import Path
from typing import Any

from app.theme import page_theme

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
