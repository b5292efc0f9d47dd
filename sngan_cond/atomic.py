"""Files and folders that appear whole or not at all."""

import contextlib
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`; what is written there takes its name if the block ends well, else it is removed."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        if str(error.filename) == str(draft):  # which nobody asked for
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with contextlib.suppress(OSError):  # it took its name, or its name is what the system refuses
            draft.unlink()


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, whose files take their place there if the block ends well.

    A new folder appears whole, and its parents are made. In one that exists, each file is replaced whole, and files of
    other names stay.

    Raises:
        NotADirectoryError: if a file has this name.
    """
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a file of this name is in the way of the folder", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_drafts(path.parent, path.name)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.{os.getpid()}.", dir=path.parent) as holder:
        # A folder inside it, because the temporary one is readable by its owner only, and a rename would keep that.
        draft = Path(holder) / path.resolve().name
        draft.mkdir()
        yield draft
        if not path.exists():
            draft.rename(path)
            return
        for file in list(draft.iterdir()):
            file.replace(path / file.name)


def remove_drafts(folder: Path, name: str | re.Pattern[str], *, alone: bool = False) -> None:
    """Remove what killed processes have left of their attempts at a file or folder.

    For `atomic_file` its callers do so where a folder is not large: it is listed each time.

    Args:
        folder: where it is.
        name: of what they attempted, or what the names of all that they may have attempted match.
        alone: a lock tells that nobody else writes there: one with the number of this process, which in a container is
            the same each time, is left over too.
    """
    names = re.escape(name) if isinstance(name, str) else name.pattern
    drafts = re.compile(rf"\.(?:{names})\.(?P<process>\d+)(\.\w+)?")
    with contextlib.suppress(OSError):  # of a folder that is not there, or may not be listed or written
        for draft in list(folder.iterdir()):
            if not (found := drafts.fullmatch(draft.name)):
                continue
            process = int(found["process"])
            if not _is_alive(process) or (alone and process == os.getpid()):
                if draft.is_dir():
                    shutil.rmtree(draft, ignore_errors=True)
                else:
                    draft.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":  # where this signal ends a process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True
