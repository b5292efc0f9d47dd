"""Processors for this process, and worker processes that end with the one that started them, however it ends."""

import os
import threading
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess


def processors() -> int:
    """Return how many processors this process may use; there may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with_parent() -> None:
    """Have this worker process end when its parent does, even if that is killed.

    An idle worker would wait for ever: it and its siblings hold the pipe that it reads from open, so it sees no end of
    file. A busy one is cut off at any instant, so whoever starts again must be able to make the same thing once more.
    """
    if (parent := parent_process()) is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # sys.exit would end this thread alone
