"""Names of the papers' tables and figures: none is missing, each draws from rows that there are; the docs list them."""

from dataclasses import replace
from pathlib import Path

from tests.processes import output_of
from train.presets.index import TABLES, find_tables
from train.reproduce import main
from train.reproduction.figures.drawing import KINDS
from train.reproduction.figures.index import FIGURES, needs_of, tables_of, whole_figures
from train.reproduction.figures.names import WITHOUT, markdown, names

# Counted in the captions of the papers: figures and tables.
CAPTIONS = {"sngan": (15, 8), "report": (3, 1), "bssn": (74, 13)}


def test_every_table_and_figure_of_the_papers_has_a_name_or_a_reason() -> None:
    expected = {
        f"{paper}/{kind}{number}"
        for paper, counts in CAPTIONS.items()
        for kind, count in zip(("figure", "table"), counts, strict=True)
        for number in range(1, count + 1)
    }
    found = [name.key for name in names()]
    assert sorted(found) == sorted([*expected, "projection/figure8", "projection/table1"])
    assert [name.key for name in names() if not name.command] == [key for key in found if key in WITHOUT]
    assert all(name.what and (name.measured_by or name.key in WITHOUT) for name in names())


def test_figures_are_drawn_of_rows_that_are_trained_by_functions_that_there_are() -> None:
    for figure in FIGURES.values():
        assert figure.kind in KINDS, figure.key
        patterns = sum(len(of_table) for of_table in figure.rows.values())
        assert len(figure.runs) >= patterns, figure.key
        assert all(row.base is not None for _, row in figure.runs), figure.key
    # By the captions: both methods of Figure 47, five rows of six variants in Figure 40, SN's scales in Figure 8.
    rows = {key: [row.name for _, row in FIGURES[f"bssn/{key}"].runs] for key in ("figure47", "figure40", "figure8")}
    assert rows["figure47"] == ["stl10_sn_3", "stl10_bsn_3"]  # alpha_g = alpha_d = 0.0002
    assert len(rows["figure40"]) == 30
    assert len(rows["figure8"]) == 27 + 11


def test_a_table_named_after_a_figure_draws_it_whole_or_not_at_all() -> None:
    by_name = {table.key: table for table in TABLES if table.key in FIGURES}
    drawn = {key for key, table in by_name.items() if whole_figures([table])}
    assert set(by_name) - drawn == {"bssn/figure8"}  # Figure 8: half are bssn/table1's
    table = by_name["bssn/figure4"]
    assert [figure.key for figure in whole_figures([table])] == ["bssn/figure4"]
    assert whole_figures([replace(table, rows=table.rows[1:])]) == []


def test_runs_are_as_the_figures_that_share_them_need_them() -> None:
    (table,) = find_tables("bssn/table1")
    rows = {row.name: row for row in table.rows}
    assert needs_of(table, rows["cifar10_sn_2"]) == {"scores", "checkpoints"}  # Figures 8 and 23
    assert needs_of(table, rows["imagenet_sn_1.2"]) == {"scores"}
    assert needs_of(table, rows["stl10_sn_1.2"]) == frozenset()
    both = tables_of([FIGURES["bssn/figure9"], FIGURES["bssn/figure27"]])
    assert [(found.key, [row.name for row in found.rows]) for found in both] == [
        ("bssn/table6", ["cifar10_sn_2", "cifar10_bsn_2"])
    ]


def test_docs_and_command_list_every_name() -> None:
    assert markdown() in (Path(__file__).parents[3] / "docs" / "papers.md").read_text()
    out = output_of(main, "--figure", "all", "--list")
    of_one = output_of(main, "--figure", "sngan", "--list")
    for text, paper in ((out, ""), (of_one, "sngan/")):
        heads = [line.split(":")[0] for line in text.splitlines() if not line.startswith(" ")]
        assert heads == [name.key for name in names() if name.key.startswith(paper)]
    assert max(map(len, out.splitlines())) <= 120
