"""Every table and figure that can be reproduced, by name."""

import difflib

from train.errors import TrainError
from train.reproduction import bssn_figures, bssn_scores, report, sngan_figures, sngan_reparametrised, sngan_scores
from train.reproduction.rows import Table

TABLES: tuple[Table, ...] = (
    sngan_scores.figure_1(),
    sngan_scores.table_2(),
    sngan_figures.figure_4(),
    *sngan_figures.imagenet_figures(),
    *sngan_figures.appendix_figures(),
    sngan_reparametrised.table_7(),
    sngan_reparametrised.table_8(),
    report.table_1(),
    bssn_scores.table_1(),
    bssn_scores.table_6(),
    *bssn_figures.vanishing(),
    *bssn_figures.ratios(),
    *bssn_figures.gradients(),
)


def find_tables(name: str) -> tuple[Table, ...]:
    """Return the tables that a name on the command line means.

    Args:
        name: "all", a paper ("sngan"), a table ("sngan/table2"), or a part that only one table has ("table2"); tables
            and figures that another table's runs make count too.
    Raises:
        TrainError: if no table, or more than one, is meant.
    """
    if name == "all":
        return TABLES
    of_paper = tuple(table for table in TABLES if table.paper == name)
    if of_paper:
        return of_paper
    for found in ([t for t in TABLES if name in (t.key, t.name)], [t for t in TABLES if _makes(t, name)]):
        if len(found) == 1:
            return (found[0],)
        if found:
            raise TrainError(f"--table {name}: several are called so: {', '.join(table.key for table in found)}")
    names = [table.key for table in TABLES]
    near = difflib.get_close_matches(name, [*names, *(table.name for table in TABLES)], n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; allowed are all, {', '.join(names)}"
    raise TrainError(f"--table {name}: no such table{hint}")


def _makes(table: Table, name: str) -> bool:
    return name in table.also or name in (f"{table.paper}/{other}" for other in table.also)
