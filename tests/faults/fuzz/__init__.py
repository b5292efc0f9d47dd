"""Fuzzers of every reader: of everything that takes bytes or text which somebody else may have written.

    python -m tests.faults.fuzz --executions 200000 --seed 0
    python -m tests.faults.fuzz --reader json --seed 0 --number 1234   # a finding again, by its line

`readers` lists them, `mutate` and `formats` damage what the product itself has written, `engine` runs them under limits
of time and memory, `lines` counts which of a reader's lines were run. What was found lies in `corpus`, a folder a
reader, and is read again by every `make test`.
"""
