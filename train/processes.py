"""Worker processes that end with the process that started them, however it ends."""

import os
import threading
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess


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
