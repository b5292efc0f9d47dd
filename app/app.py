"""The page as a Space: this folder is the Space, wherever it lies and whatever it is called.

A Space reads its settings from variables: MODELS (Hub repos, separated by spaces; default: the bundled model) and
ALLOW_REPOS (patterns of further repos that visitors may open, such as "user/*"; default: none).
"""

import importlib.util
import os
import sys
import threading
from pathlib import Path
from types import ModuleType


def _this_folder_as_package(name: str) -> ModuleType:
    """Import the folder of this file as a package, although this file may itself be the module of that name."""
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return package


if importlib.util.find_spec("spaces") is not None:
    import spaces  # noqa: F401  on a Space that lends GPUs it patches torch, so it comes first

if __name__ in ("__main__", "app"):
    _this_folder_as_package("app")

from app.serving import set_environment_defaults  # noqa: E402  the package has to exist first

set_environment_defaults()
from app.assistant import answer_with_images  # noqa: E402
from app.service import Service  # noqa: E402
from app.start import warm_up  # noqa: E402
from app.ui import build_demo  # noqa: E402
from app.web import launch_options  # noqa: E402

service = Service(os.environ.get("MODELS", "bundled").split(), allow_repos=os.environ.get("ALLOW_REPOS", "").split())
demo, web = build_demo(service)

if __name__ == "__main__":
    demo.launch(prevent_thread_lock=True, **launch_options(web))
    answer_with_images(demo)
    threading.Thread(target=warm_up, args=(web.results, "app.py"), daemon=True).start()
    demo.block_thread()
