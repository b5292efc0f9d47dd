"""Linux playing a system without what only POSIX has, as strict about open files as Windows; run as a program.

Usage: python -m tests.train.played_windows prepare|train FLAGS... [then FLAGS...]

Windows' own lock cannot run here; without fcntl filelock falls back to a file that exists while the lock is held.
"""

import contextlib
import errno
import importlib
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_MODULES = ("fcntl", "resource", "pwd", "grp", "termios")
_FUNCTIONS = ("fork", "execve", "posix_fallocate", "sched_getaffinity", "getuid", "O_DIRECTORY")
_SIGNALS = ("pthread_sigmask", "SIGKILL", "SIGHUP", "SIGUSR1", "SIGALRM", "setitimer")


def play() -> None:
    """Have this process lack it from here on; libraries that are imported already keep what they took."""
    sys.modules.update(dict.fromkeys(_MODULES))  # type: ignore[arg-type]  # None is how Python marks what is not there
    for place, names in ((os, _FUNCTIONS), (signal, _SIGNALS)):
        for name in names:
            with contextlib.suppress(AttributeError):
                delattr(place, name)
    shutil._use_fd_functions = False  # type: ignore[attr-defined]  # there it opens no folders either
    os.open = _without_folders(os.open)
    os.fsync = _writable_only(os.fsync)
    os.rename, os.replace = _moving(os.rename, over=False), _moving(os.replace, over=True)
    os.unlink = os.remove = _removing(os.unlink)
    # Texts without an encoding are in the code page there. What reads /proc finds none.
    warnings.filterwarnings("error", category=EncodingWarning, module=r"(sngan_cond\.(?!fast)|train)\b")


def _refuse(path: object, why: str, number: int = errno.EACCES) -> None:
    raise OSError(number, f"played: {why}", str(path))


def _without_folders(really: Callable[..., int]) -> Callable[..., int]:
    def open(path: Any, *options: Any, **more: Any) -> int:
        if Path(path).is_dir():
            _refuse(path, "no folder can be opened")
        return really(path, *options, **more)

    return open


def _writable_only(really: Callable[[int], None]) -> Callable[[int], None]:
    def fsync(descriptor: int) -> None:
        flags = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii").split("flags:\t")[1]
        if int(flags.split()[0], 8) & os.O_ACCMODE == os.O_RDONLY:
            _refuse(descriptor, "only what is open for writing can be synced", errno.EBADF)
        really(descriptor)

    return fsync


def _moving(really: Callable[..., None], *, over: bool) -> Callable[..., None]:
    def move(source: Any, target: Any, **options: Any) -> None:
        if Path(target).is_dir() or (Path(target).exists() and not over):
            _refuse(target, "exists", errno.EEXIST)
        for path in (source, target):
            _check_closed(path)
        really(source, target, **options)

    return move


def _removing(really: Callable[..., None]) -> Callable[..., None]:
    def remove(path: Any, **options: Any) -> None:
        _check_closed(path)
        really(path, **options)

    return remove


def _check_closed(path: Any) -> None:
    """Refuse what this process has open or mapped, or a folder that holds it."""
    place = os.path.realpath(path)
    if place.startswith("/dev/shm/"):  # Python's own way to share memory; there it is no file
        return
    held = {line.split(maxsplit=5)[-1] for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()}
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            held.add(str(descriptor.readlink()))
    for name in held:
        if name == place or name.startswith(f"{place}/"):
            _refuse(path, f"{name} is open")


def main(program: str, arguments: list[str]) -> None:
    of_training = ("torch", "torch._dynamo", "accelerate", "torchvision", "torch.utils.tensorboard")
    for name in ("psutil", *(of_training if program == "train" else ())):
        importlib.import_module(name)  # before, for they choose by platform and not by what is there
    play()
    importlib.import_module("train.trainer.loop" if program == "train" else "train.data.build")
    called = importlib.import_module("train.__main__" if program == "train" else "train.prepare")
    for name in ("train.files", "train.run.launch", "train.data.workers"):
        if module := sys.modules.get(name):
            module.sys = SimpleNamespace(platform="win32")  # type: ignore[attr-defined]
    while arguments:
        end = arguments.index("then") if "then" in arguments else len(arguments)
        if status := called.main(arguments[:end]):
            sys.exit(status)
        arguments = arguments[end + 1 :]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
