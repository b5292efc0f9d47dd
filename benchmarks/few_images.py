"""What helps where images are few: `python -m benchmarks.few_images --cifar10 DIR --imagenette DIR --out DIR`.

Trains preset photos_64 on subsets, with and without augmentation, from scratch and from a model of other classes, and
scores kept checkpoints against images that no run has seen, under the declared stand-in extractor: never FID. The
same command goes on after a stop; a run that has its file in `scores` is not run again.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import describe_machine, write_result
from train.__main__ import SICK
from train.plotting import COLOURS, add_legend, count_images, panels, png

EXTRACTOR = "efficientnet-lite0"
DISTANCE = "frechet_efficientnet_lite0"
AUGMENT = ("augment.policy=[color,translation,cutout]",)
PLAIN = ("augment.policy=[]",)
FIRST, OTHERS = slice(0, 5), slice(5, 10)  # of Imagenette's classes, by WordNet id
SCORED = 3  # checkpoints of a run


@dataclass(frozen=True)
class Method:
    """A column of a table.

    Args:
        settings: `--set` of its runs, over preset photos_64.
        start: whether runs begin from the model of the other classes.
    """

    name: str
    settings: tuple[str, ...]
    start: bool = False


@dataclass(frozen=True)
class Table:
    """Runs that differ by method, images a class and seed.

    Args:
        images: of a class, a row each.
        classes: of Imagenette's ten, None for all.
        steps: of every run, whatever its data.
    """

    name: str
    data: str
    resolution: int
    images: tuple[int, ...]
    methods: tuple[Method, ...]
    steps: int
    classes: slice | None = None


AUGMENTATIONS = (Method("none", PLAIN), Method("DiffAugment", AUGMENT))
TABLES = (
    Table("imagenette", "imagenette", 64, (60, 600), AUGMENTATIONS, 1500),
    # 5,000 and not 6,000 of a class: the other thousand are its test images, which score.
    Table("cifar10", "cifar10", 32, (60, 600, 5000), AUGMENTATIONS, 4000),
    Table(
        "start",
        "imagenette",
        64,
        (60, 600),
        (Method("from scratch", AUGMENT), Method("init_from", AUGMENT, start=True)),
        300,
        classes=OTHERS,
    ),
)
# The model of the other classes, on all their images.
SOURCE = Table("source", "imagenette", 64, (0,), (Method("source", AUGMENT),), 1000, classes=FIRST)


@dataclass(frozen=True)
class Cell:
    """One run.

    Args:
        images: of a class, 0 for all.
    """

    table: Table
    method: Method
    images: int
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        method = self.method.name.replace(" ", "-").lower()
        return f"{self.table.name}-{self.images or 'all'}-{method}-seed{self.seed}"


class Bench:
    """Prepares, trains and scores below one folder.

    Args:
        sources: folder of each data set: of arrays for cifar10, of `train` and `val` for imagenette.
        threads: of each process.
    """

    def __init__(
        self, out: Path, sources: dict[str, Path], *, threads: int, steps: int | None, extra: Sequence[str]
    ) -> None:
        self.out, self.sources, self.steps, self.extra = out, sources, steps, tuple(extra)
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}

    def run(self, cell: Cell, source: "Future[None] | None" = None) -> None:
        """Train and score one run; `scores/NAME.json` has its curve.

        Args:
            source: the run that a method with a start waits for.
        """
        run_dir, steps = self.out / "runs" / cell.name, self.steps or cell.table.steps
        if self.curve(cell) and (cell != THE_SOURCE or run_dir.exists()):  # others start from it
            return
        settings = [
            f"data.path={self.prepared(cell.table, cell.images)}",
            *(f"resolution={cell.table.resolution}", f"seed={cell.seed}", f"steps={steps}"),
            *(f"decay_from={steps // 2}", f"save_every={math.ceil(steps / SCORED)}", f"keep_checkpoints={SCORED}"),
            *(*cell.method.settings, *self.extra),
        ]
        if cell.method.start and source:
            source.result()
            settings.append(f"init_from={self.out / 'runs' / THE_SOURCE.name}")
        self._call("train", "--preset", "photos_64", "--run-dir", run_dir, "--set", *settings, log=run_dir)
        curve = [self._score(cell, checkpoint) for checkpoint in sorted((run_dir / "checkpoints").glob("step-*"))]
        write_result(self._scores(cell), {"images_seen_and_distance": curve})
        print(f"{cell.name}: done", flush=True)

    def _score(self, cell: Cell, checkpoint: Path) -> tuple[int, float]:
        scores = checkpoint.parents[1] / f"{checkpoint.name}.json"
        if not scores.exists():
            options = ("--protocol", "quick", "--metrics", "frechet", "--extractor", EXTRACTOR, "--out", scores)
            model = ("--model", checkpoint, "--data", self.held_out(cell.table))
            self._call("train.evaluate", *model, *options, log=checkpoint.parents[1])
        (row,) = json.loads(scores.read_text())["metrics"]
        return json.loads((checkpoint / "training.json").read_text())["images_seen"], row["value"]

    def prepared(self, table: Table, images: int) -> Path:
        """Return the prepared subset of a table, made if it is missing."""
        return self._prepare(table, "train", images)

    def held_out(self, table: Table) -> Path:
        """Return the prepared images that its runs never see."""
        return self._prepare(table, "test" if table.data == "cifar10" else "val", 0)

    def _prepare(self, table: Table, split: str, images: int) -> Path:
        which = "" if table.classes is None else f"-classes{table.classes.start}to{table.classes.stop - 1}"
        name = f"{table.data}-{table.resolution}{which}-{split}-{images or 'all'}"
        out, source = self.out / "data" / name, self.sources[table.data]
        classes = 10
        if table.data == "cifar10":
            options = ["--source", f"arrays:{source}", "--split", split]
        else:
            folders = sorted(path for path in (source / split).iterdir() if path.is_dir())[table.classes or slice(None)]
            classes, linked = len(folders), self.out / "data" / f"{name}.classes"
            linked.mkdir(parents=True, exist_ok=True)
            for folder in folders:
                if not (linked / folder.name).exists():
                    (linked / folder.name).symlink_to(folder.resolve())
            options = ["--source", f"imagefolder:{linked}"]
        if images:
            options += ["--limit", str(images * classes)]
        self._call("train.prepare", *options, "--resolution", table.resolution, "--out", out, log=out)
        return out

    def _call(self, module: str, *arguments: object, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.with_name(f"{log.name}.log").open("a") as file:
            command = [sys.executable, "-m", module, *map(str, arguments)]
            status = subprocess.run(command, env=self.environment, stdout=file, stderr=file, check=False).returncode
        if status not in (0, SICK):
            raise SystemExit(f"python -m {module} ended with status {status}: {file.name}")

    def curve(self, cell: Cell) -> list[tuple[int, float]]:
        """Return real images seen and distance of each scored checkpoint; empty if it has not run."""
        scores = self._scores(cell)
        return json.loads(scores.read_text())["images_seen_and_distance"] if scores.exists() else []

    def _scores(self, cell: Cell) -> Path:
        return self.out / "scores" / f"{cell.name}.json"


THE_SOURCE = Cell(SOURCE, SOURCE.methods[0], 0, 0)


def cells(tables: Sequence[Table], seeds: int) -> Iterator[Cell]:
    """Go through the runs of tables, seed by seed, so that a bench cut short has whole comparisons."""
    for seed in range(seeds):
        for table in tables:
            for images in table.images:
                for method in table.methods:
                    yield Cell(table, method, images, seed)


def summarise(bench: Bench, table: Table, seeds: int) -> list[dict[str, Any]]:
    """Return, for each images a class and method, distances of the last and the best checkpoint over the seeds."""
    rows = []
    for cell in cells([table], 1):
        curves = [bench.curve(Cell(table, cell.method, cell.images, seed)) for seed in range(seeds)]
        if curves := [curve for curve in curves if curve]:
            last, best = [c[-1][1] for c in curves], [min(value for _, value in c) for c in curves]
            row = {"images_per_class": cell.images, "method": cell.method.name, "seeds": len(curves)}
            rows.append({**row, "last": last, "best": best})
    return rows


def print_table(table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Print Markdown: a row for each number of images, a column for each method, mean +- deviation over seeds."""
    names = [method.name for method in table.methods]
    print(f"\n{table.name}, {DISTANCE}, last checkpoint (best)\n")
    print(f"| images a class | {' | '.join(names)} |\n| --- {'| --- ' * len(names)}|")
    for images in table.images:
        found = {row["method"]: row for row in rows if row["images_per_class"] == images}
        words = [_words(found[name]) if name in found else "" for name in names]
        print(f"| {images:,} | {' | '.join(words)} |")


def _words(row: dict[str, Any]) -> str:
    last, best = ((statistics.fmean(row[key]), statistics.pstdev(row[key])) for key in ("last", "best"))
    return f"{last[0]:.1f} +- {last[1]:.1f} ({best[0]:.1f} +- {best[1]:.1f})"


def draw(bench: Bench, tables: Sequence[Table], seeds: int, path: Path) -> None:
    """Draw the distance over training, a panel for each table and number of images, a line for each seed."""
    shown = [(table, images) for table in tables for images in table.images]
    names = dict.fromkeys(method.name for table in tables for method in table.methods)
    colours = dict(zip(names, COLOURS, strict=False))
    with png(path) as figure:
        grid = panels(figure, len(shown), columns=3, width_inch=2.7)
        for axes, (table, images) in zip(grid, shown, strict=True):
            for cell in cells([table], seeds):
                if cell.images == images and (points := bench.curve(cell)):
                    name = cell.method.name
                    axes.plot(*zip(*points, strict=True), color=colours[name], label=name, linewidth=1.0)
            axes.set_title(f"{table.name}, {images:,} images a class")
            count_images(axes)
        figure.supylabel("Fréchet distance, stand-in extractor")
        add_legend(figure, grid)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Measure what helps where images are few.")
    add = parser.add_argument
    add("--cifar10", type=Path, metavar="DIR", help="folder of arrays, as train.prepare --source arrays:DIR reads")
    add("--imagenette", type=Path, metavar="DIR", help="folder with train/ and val/")
    add("--out", type=Path, required=True, metavar="DIR")
    add("--tables", nargs="+", default=[t.name for t in TABLES], choices=[t.name for t in TABLES])
    add("--seeds", type=int, default=3, metavar="N")
    add(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="runs at once, each with its share of the threads",
    )
    add("--steps", type=int, metavar="N", help="of every run, for a trial (default: the tables' own)")
    add("--set", nargs="+", default=[], metavar="KEY=VALUE", help="for every run, such as precision=bf16")
    args = parser.parse_args()
    threads = max((os.cpu_count() or 1) // args.workers, 1)
    sources = {"cifar10": args.cifar10, "imagenette": args.imagenette}
    bench = Bench(args.out, sources, threads=threads, steps=args.steps, extra=args.set)
    tables = [table for table in TABLES if table.name in args.tables]
    for table in tables:
        if sources[table.data] is None:
            parser.error(f"--tables {table.name} needs --{table.data} DIR")
    for table in tables:
        bench.held_out(table)  # before several runs ask for it at once
        for images in table.images:
            bench.prepared(table, images)
    with ThreadPoolExecutor(args.workers) as pool:
        source = pool.submit(bench.run, THE_SOURCE) if "start" in args.tables else None
        list(pool.map(lambda cell: bench.run(cell, source), cells(tables, args.seeds)))
    found = {table.name: summarise(bench, table, args.seeds) for table in tables}
    for table in tables:
        print_table(table, found[table.name])
    draw(bench, tables, args.seeds, args.out / "few_images.png")
    write_result(args.out / "few_images.json", {"machine": describe_machine(torch.device("cpu")), "tables": found})


if __name__ == "__main__":
    main()
