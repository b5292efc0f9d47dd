"""The same readers under atheris, which keeps inputs that reach new lines (`pip install atheris`, on Linux)."""

import random
import sys

import atheris

from tests.faults.fuzz.engine import Fuzzer, Reader, bounded_memory, corpus, watched, work_folder
from tests.faults.fuzz.lines import functions_of


def run_guided(reader: Reader, *, executions: int, seed: int) -> int:
    """Run a reader until something is found or so many executions are done; atheris then ends the process.

    What is found is written beside, as `crash-SHA1`; put it into the corpus.
    """
    for function in functions_of(reader.lines):
        atheris.instrument_func(function)
    with work_folder() as root, watched(), bounded_memory():
        fuzzer = Fuzzer(reader, root / "reader")
        (root / "seeds").mkdir()
        for i, content in enumerate([*fuzzer.seeds, *(path.read_bytes() for path in corpus(reader))]):
            (root / "seeds" / str(i)).write_bytes(content)

        def read(data: bytes) -> None:
            end = fuzzer.run(data, traced=False)
            if end not in ("accepted", "refused"):
                raise AssertionError(end)

        def mutate(data: bytes, longest: int, number: int) -> bytes:
            return reader.mutate(random.Random(number), [data, *fuzzer.seeds], reader.tokens)[:longest]

        options = [f"-runs={executions}", f"-seed={seed}", "-max_len=65536", "-rss_limit_mb=0", str(root / "seeds")]
        atheris.Setup([sys.argv[0], *options], read, custom_mutator=mutate)
        atheris.Fuzz()
    return 0
