"""Where what was computed once is kept for the next process."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the project's folder among the user's caches, which need not exist: `~/.cache/sngan-cond` by default.

    Raises:
        RuntimeError: if there is neither a home nor the variable XDG_CACHE_HOME.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sngan-cond"
