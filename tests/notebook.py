"""docs/tour.ipynb, executed; `python -m tests.notebook` also writes its outputs anew."""

from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.processes import ROOT

TOUR = ROOT / "docs/tour.ipynb"


def executed() -> Any:
    """Return the notebook with the outputs of this run, pictures as PNG alone; a cell that fails raises."""
    notebook = nbformat.read(TOUR, as_version=4)
    folder = {"metadata": {"path": TOUR.parent}}
    NotebookClient(notebook, timeout=240, kernel_name="python3", record_timing=False, resources=folder).execute()
    for cell in notebook.cells:
        shown = [output for output in cell.get("outputs", ()) if output.get("name") != "stderr"]  # names folders
        for output in shown:
            output.get("data", {}).pop("image/jpeg", None)
        if "outputs" in cell:
            cell.outputs = shown
    return notebook


if __name__ == "__main__":
    nbformat.write(executed(), TOUR)
