"""Figures are files that are there whole or not at all, equal for equal numbers, and need no pyplot."""

from pathlib import Path

import pytest
from PIL import Image

from tests.processes import python
from train.plotting import add_legend, count_images, escaped, panels, png, shades


def draw(path: Path, *, label: str = "a run") -> Path:
    with png(path) as figure:
        drawn = panels(figure, 3, columns=2, width_inch=2.0, same_axes=True)
        for axes, colour in zip(drawn, shades(3), strict=True):
            axes.plot([1000, 2000], [1.0, 2.0], color=colour, label=label)
            count_images(axes)
        add_legend(figure, drawn)
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == [label]  # once for three panels
    return path


def test_equal_numbers_give_equal_files(tmp_path: Path) -> None:
    first, second = draw(tmp_path / "new" / "a.png"), draw(tmp_path / "b.png")
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in first.parent.iterdir()] == ["a.png"]
    with Image.open(first) as image:
        assert image.size == (600, 522)  # 150 dots an inch
        assert "Software" not in image.info


def test_a_figure_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), png(path):
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_users_text_is_no_mathematics(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ParseSyntaxException"):
        draw(tmp_path / "a.png", label="runs$_$")
    assert not list(tmp_path.iterdir())
    with png(tmp_path / "b.png") as figure:
        text = figure.suptitle(escaped("runs$_$"))
        assert text._preprocess_math(text.get_text()) == ("runs$_$", False)


def test_pyplot_is_never_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from train.plotting import png\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"with png(Path({str(tmp_path / 'a.png')!r})) as figure: figure.subplots()\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    python("-c", code)
