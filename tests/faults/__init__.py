"""Faults at every file operation and network call of the commands, by number, and what must be true after each.

A case is a command (a fresh run, one that goes on, a preparation, ...) in a folder of its own. It runs once without a
fault to list its operations: what is done (`write`, `rename`, `answer`, ...), to which path or endpoint, for the how
manyeth time. Then it runs again and again in fresh copies of the folder, each time with one fault at one operation, and
once more without a fault, as its user would start it again. The oracle compares both with the run that nothing
happened to: how the process ended, what it said, every file and every bit.

    operations.py   an operation, and what was done to which path
    injector.py     stands between a process and its disk and network, counts operations and strikes at one
    kinds.py        the kinds of faults: at which operations each may strike, and what it does
    server.py       an interpreter that has imported everything and forks a process for each command, in seconds
    child.py        the forked process
    cases.py        the commands, their folders, and what is compared of them
    oracle.py       what must be true after a fault
    campaign.py     chooses faults evenly over kinds and areas, tries them and repeats them by their line
    __main__.py     the command: the table, and the line that repeats each finding
"""
