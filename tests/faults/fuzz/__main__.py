"""`python -m tests.faults.fuzz`: run a campaign, or one finding again."""

import argparse
import math
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: executions are short

from tests.faults.fuzz.engine import CORPUS, Fuzzer, Tally, bounded_memory, watched, work_folder
from tests.faults.fuzz.registry import READERS


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__.partition(": ")[2])
    add = parser.add_argument
    add("--executions", type=int, default=200_000, help="of all readers together (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the random source (default: %(default)s)")
    add("--reader", choices=tuple(READERS), action="append", help="this reader alone; may be given several times")
    add("--number", type=int, help="this execution alone, of one reader: prints its input and how it ended")
    add("--keep", metavar="NAME", help="with --number: write the input to the corpus under this name")
    add(
        "--engine",
        choices=("own", "atheris"),
        default="own",
        help="atheris: guided by coverage, of one reader (pip install atheris)",
    )
    args = parser.parse_args(arguments)
    chosen = [READERS[name] for name in args.reader or READERS]
    if (args.number is not None or args.engine == "atheris") and len(chosen) != 1:
        parser.error("--reader: one is needed")
    if args.engine == "atheris":
        from tests.faults.fuzz.guided import run_guided  # here: atheris is no requirement

        return run_guided(chosen[0], executions=args.executions, seed=args.seed)
    with work_folder() as root, watched():
        fuzzers = [Fuzzer(reader, root / str(i)) for i, reader in enumerate(chosen)]
        with bounded_memory():
            if args.number is not None:
                data = fuzzers[0].input(args.seed, args.number)
                print(f"{data!r}\n{(end := fuzzers[0].run(data))}")
                if args.keep:
                    folder = CORPUS / chosen[0].name
                    folder.mkdir(exist_ok=True)
                    (folder / args.keep).write_bytes(data)
                return int(end not in ("accepted", "refused"))
            return _campaign(fuzzers, args.executions, args.seed)


def _campaign(fuzzers: list[Fuzzer], executions: int, seed: int) -> int:
    shares = sum(fuzzer.reader.share for fuzzer in fuzzers)
    total = Tally()
    print(f"{'reader':<26}{'executions':>11}{'accepted':>10}{'refused':>10}{'a second':>10}{'lines':>7}  findings")
    for fuzzer in fuzzers:
        tally = fuzzer.campaign(seed, range(math.ceil(executions * fuzzer.reader.share / shares)))
        print(
            f"{fuzzer.reader.name:<26}{tally.executions:>11,}{tally.accepted:>10,}{tally.refused:>10,}"
            f"{tally.executions / tally.seconds:>10,.0f}{tally.percent:>6.0f}%  {len(tally.findings)}",
            flush=True,
        )
        total.executions += tally.executions
        total.accepted += tally.accepted
        total.refused += tally.refused
        total.seconds += tally.seconds
        total.findings += tally.findings
        for finding in tally.findings:
            print(f"  python -m tests.faults.fuzz {finding}", flush=True)
    print(
        f"{'all':<26}{total.executions:>11,}{total.accepted:>10,}{total.refused:>10,}"
        f"{total.executions / total.seconds:>10,.0f}"
    )
    return int(bool(total.findings))


if __name__ == "__main__":
    sys.exit(main())
