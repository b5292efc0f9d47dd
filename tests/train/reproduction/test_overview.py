"""`python -m train.reproduce --list`: every table, row and reported number, quickly, and hours where asked."""

import os
import subprocess
import sys

import pytest

from tests.processes import output_of, python
from train.presets.index import TABLES
from train.reproduce import main
from train.reproduction import cost


def test_list_shows_every_table_row_and_reported_number() -> None:
    out = output_of(main, "--list")
    assert max(map(len, out.splitlines())) <= 120
    sections = dict(section.split(": ", 1) for section in out.split("\n\n")[1:])
    assert list(sections) == [table.key for table in TABLES]
    for table in TABLES:
        words = " ".join(sections[table.key].split())
        for text in (table.title, table.paper.citation, *(row.absent for row in table.rows)):
            assert text in words
        lines = {line.split()[0]: line for line in sections[table.key].splitlines() if line.strip()}
        for row in table.rows:
            assert all((number or "drawn") in lines[row.name] for number in row.reported.values()), row.name


def test_list_gives_the_cost_of_a_whole_run() -> None:
    out = output_of(main, "--list", "--table", "sngan/table2", "--rows", "cifar10_real", "cifar10_wgan_gp")
    heads, real, trained = [line.split() for line in out.splitlines()[-3:]]
    assert heads == ["inception_score", "fid", "G", "updates", "real", "images"]
    assert real == ["cifar10_real", "11.24+-.12", "7.8", "-", "-"]
    assert trained == ["cifar10_wgan_gp", "6.68+-.06", "40.2", "100,000", "32,000,000"]  # five batches of 64 an update


def test_list_measures_hours_where_asked() -> None:
    out = output_of(main, "--list", "--hours", "--table", "bssn/figure2", "--rows", "no_sn")
    assert f"Hours on one {cost.DEVICE.type} of this machine in {cost.PRECISION}, from measured" in out
    heads, row = [line.split() for line in out.splitlines()[-2:]]
    assert heads[-1] == "hours"
    assert row[:4] == ["no_sn", "drawn", "93,700", "5,996,800"]
    assert float(row[4].replace(",", "")) > 0


@pytest.mark.parametrize("option", ["--help", "--list"])
def test_help_and_list_need_no_torch(option: str) -> None:
    code = (
        "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); "
        f"from train.reproduce import main; sys.exit(main(['{option}']))"
    )
    assert python("-c", code).stdout.splitlines()[-1] == "False"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "train.reproduce", "--list"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
