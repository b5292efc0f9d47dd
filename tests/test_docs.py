"""README and the documentation: every block is run or named, the site builds, the notebook runs."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, python, run
from tests.snippets import PAGES, REASONS, blocks

DOCS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))


def test_every_block_is_run_or_named() -> None:
    assert {page for page in DOCS if re.search("^```", (ROOT / page).read_text(), re.M)} <= set(PAGES)
    for page in PAGES:
        assert (ROOT / page).read_text().count("\n```") % 2 == 0, page
        for block in blocks(page):
            where = f"{page}:{block.line}"
            assert block.language in ("python", "sh", "yaml", ""), f"{where}: {block.language} is not run"
            assert block.language != "yaml" or block.file, (
                f"{where}: 'write NAME' is needed, and a command that reads it"
            )
            for text, why in block.skips:
                assert why in REASONS, f"{where}: {why!r} is none of {REASONS}"
                assert text == "all" or text in block.text, f"{where}: nothing contains {text!r}"
            for text, _ in block.replacements:
                assert any(text in command for command in block.commands), f"{where}: nothing contains {text!r}"


@pytest.mark.slow
@pytest.mark.parametrize("which", ["core", "extras"])
def test_blocks_run(which: str) -> None:
    """With the core dependencies alone, and then what needs more."""
    out = python("-m", "tests.snippets", which).stdout
    print(out)
    assert re.search(r"\brun: [1-9]", out)


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_asks_nobody(tmp_path: Path) -> None:
    run([sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path], NO_MKDOCS_2_WARNING="1")
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) == len(DOCS) + 1  # and 404
    foreign = r"""<(?:script|img|link|iframe|source)\b[^>]*(?:src|href)=["']?(?:https?:)?//[^"' >]*"""
    assert not [found for page in pages for found in re.findall(foreign, page.read_text())]
    assert not [
        path for path in tmp_path.rglob("*.css") if re.search(r"(url\(|@import\s*)[\"']?(https?:)?//", path.read_text())
    ]


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_shows() -> None:
    from tests.notebook import executed  # here: the quick tests need no Jupyter

    kept = json.loads((ROOT / "docs/tour.ipynb").read_text())["cells"]
    for cell, before in zip(executed().cells, kept, strict=True):
        kinds = [[sorted(output.get("data", ())) for output in c.get("outputs", ())] for c in (cell, before)]
        assert kinds[0] == kinds[1], cell.source
