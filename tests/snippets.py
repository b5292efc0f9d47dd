"""The code blocks of README.md and docs/*.md, run in order as a reader runs them.

`python -m tests.snippets core` runs what needs the core dependencies alone, `python -m tests.snippets extras` the rest.
No pytest is needed, so that a fresh environment can. A comment right above a block says what differs, a line each:

    <!-- test
    skip TEXT: REASON         commands that contain TEXT are not run; "all" is every one. REASONS has what may be said
    replace TEXT => TEXT      smaller, for a test
    needs extras              of a Python block, where its imports do not show it
    write NAME                a YAML block becomes this file
    -->
"""

import contextlib
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from tests.processes import ROOT, clean_environment

PAGES = (
    "README.md",
    *(f"docs/{page}.md" for page in ("index", "use", "train", "photographs", "evaluate", "publish", "page", "papers")),
)
REASONS = (
    "installs packages",
    "runs until it is stopped",
    "takes minutes",
    "needs a GPU",
    "needs ImageNet",
    "needs a login to the Hub",
    "needs a page that runs",
    "needs data that are not here",
    "needs weights that are not here",
    "needs a file that is not here",
)
# How commands begin, or lines of Python, that need more than the core dependencies; runs/ is what the first ones make.
_EXTRAS = re.compile(
    r"^(python -m (train|app|benchmarks)|accelerate |from sngan_cond\.export)|export --|--model runs/", re.M
)
_NOT_CORE = (
    "accelerate",
    "app",
    "datasets",
    "gradio",
    "gradio_client",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pydantic",
    "pytest",
    "tensorboard",
    "timm",
    "torch_fidelity",
    "torchmetrics",
    "torchvision",
    "trackio",
    "train",
    "wandb",
)
_FENCE = re.compile(
    r"(?:<!-- test\n(?P<rules>(?:(?!-->).)*)-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and what the comment above it says."""

    page: str
    line: int
    language: str
    text: str
    skips: tuple[tuple[str, str], ...] = ()
    replacements: tuple[tuple[str, str], ...] = ()
    needs_extras: bool = False
    file: str = ""

    @property
    def commands(self) -> list[str]:
        """Commands of a shell block, continued lines joined, without comments; a Python block is one."""
        if self.language != "sh":
            return [self.text]
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        return [command for line in lines if (command := re.sub(r"(^|\s+)#.*", "", line).strip())]

    def reason(self, command: str) -> str | None:
        """Return why a command is not run, or None."""
        return next((why for text, why in self.skips if text == "all" or text in command), None)

    def small(self, command: str) -> str:
        """Return a command as it is run here."""
        for text, other in self.replacements:
            command = command.replace(text, other)
        return command


def blocks(page: str) -> Iterator[Block]:
    """Read the fenced blocks of a page.

    Raises:
        ValueError: if a comment above one has a line of no known form.
    """
    text = (ROOT / page).read_text()
    for match in _FENCE.finditer(text):
        said: dict[str, Any] = {"skips": [], "replacements": []}
        for rule in (match["rules"] or "").splitlines():
            verb, _, rest = rule.partition(" ")
            if verb == "skip" and ": " in rest:
                said["skips"].append(rest.rsplit(": ", 1))
            elif verb == "replace" and " => " in rest:
                said["replacements"].append(rest.split(" => "))
            elif rule == "needs extras":
                said["needs_extras"] = True
            elif verb == "write":
                said["file"] = rest
            else:
                raise ValueError(f"{page}: {rule!r} is no rule of a test comment")
        yield Block(page, text.count("\n", 0, match.start("text")), match["language"], match["text"], **said)


def run_all(folder: Path, *, extras: bool) -> Counter[str]:
    """Run the blocks of all pages, a page's Python in one namespace, from a folder that looks like a clone.

    Args:
        folder: the current one, empty.
        extras: run what needs more than the core dependencies, else the rest.
    Returns:
        How many commands and blocks were run, and how many not for each reason.
    """
    for name in ("app", "benchmarks", "docs", "model_cards", "releases", "sngan_cond", "train"):
        (folder / name).symlink_to(ROOT / name)
    counts: Counter[str] = Counter()
    done = set()
    for page in PAGES:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        for block in blocks(page):
            if block.file:
                (folder / block.file).write_text(block.text)
            if block.language not in ("python", "sh"):
                continue
            for command in block.commands:
                small = block.small(command)
                if why := block.reason(command):
                    counts[why] += 1
                elif (block.needs_extras or bool(_EXTRAS.search(command))) == extras and small not in done:
                    counts["run"] += 1
                    print(f"{page}:{block.line + 1}: {small.splitlines()[0]}", flush=True)
                    with contextlib.redirect_stdout(io.StringIO()):
                        if block.language == "python":
                            exec(compile("\n" * block.line + small, page, "exec"), namespace)  # lines are the page's
                        else:
                            done.add(small)
                            _run(small, folder)
    return counts


def _run(command: str, folder: Path) -> None:
    """Run a command; ours in this process, since starting torch anew takes seconds."""
    words = shlex.split(command)
    if words[0] == "sngan-cond":
        status = importlib.import_module("sngan_cond.cli").main(words[1:])
    elif words[:2] == ["python", "-m"] and words[2].startswith("train"):
        name = words[2] if "." in words[2] else f"{words[2]}.__main__"
        status = importlib.import_module(name).main(words[3:])
        if accelerate := sys.modules.get("accelerate.state"):  # the next run may have another precision
            accelerate.AcceleratorState._reset_state(reset_partial_state=True)
    else:
        environment = clean_environment()
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        status = subprocess.run(
            words, cwd=folder, env=environment, stdout=sys.stderr, timeout=240, check=False
        ).returncode
    assert status == 0, command


def check_pictures(folder: Path) -> None:
    """Compare the home page's pictures with those that its lines have made; processors differ by rounding."""
    from PIL import Image, ImageChops

    for kept in sorted((ROOT / "docs/images").iterdir()):
        with Image.open(kept) as before, Image.open(folder / kept.name) as now:
            largest = max(high for _, high in ImageChops.difference(before.convert("RGB"), now).getextrema())
        assert largest <= 2, f"{kept}: differs by {largest} from what docs/index.md makes"


class _CoreOnly(MetaPathFinder):
    """Refuses what a fresh environment with the core dependencies does not have."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] in _NOT_CORE:
            raise ModuleNotFoundError(f"{name}: not a core dependency", name=name)


def main() -> None:
    """Run what `sys.argv` asks for, and print the counts."""
    if sys.argv[1:] not in (["core"], ["extras"]):
        sys.exit("core or extras is allowed")
    extras = sys.argv[1] == "extras"
    if not extras:
        sys.meta_path.insert(0, _CoreOnly())
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        counts = run_all(Path(folder), extras=extras)
        if not extras:
            check_pictures(Path(folder))
    print(", ".join(f"{reason}: {count}" for reason, count in counts.items()))


if __name__ == "__main__":
    main()
