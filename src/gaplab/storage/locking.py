"""One live run a directory: a lock that ends with the process that holds it, however that ends."""

import atexit
import fcntl
import os
import socket
import stat
import time
from pathlib import Path
from typing import TextIO

from gaplab.errors import ConfigError

LOCK = ".lock"

_held: dict[Path, TextIO] = {}


def lock(path: Path, timeout_seconds: float = 0.0) -> None:
    """Claim a run directory for this process; does nothing if it holds it already.

    The lock is the file system's (``flock``), so that ``kill -9`` or the loss of a node cannot leave it
    behind. On a file system without such locks a run is protected by nothing.

    Args:
        path: An existing directory.
        timeout_seconds: How long to wait for another process to let go: a requeued job may start while its
            former self still ends.

    Raises:
        ConfigError: If another process holds it, or the lock is a link or a pipe that somebody put there.
    """
    path = path.resolve()
    if path in _held:
        return
    file = _open(path / LOCK)
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.seek(0)
                owner = file.read().strip() or "an unknown process"
                file.close()
                raise ConfigError(
                    f"{path}: a run is at work in this directory ({owner}). Wait for it, stop it, or choose "
                    "another run.id."
                ) from None
            time.sleep(0.2)
        except OSError:  # a file system without locks
            break
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    _held[path] = file


def _open(file: Path) -> TextIO:
    """Open or make a lock file, and nothing else that bears its name."""
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if file.is_symlink():
            raise ConfigError(
                f"{file}: expected a file that a run made, but it is a link. Remove it."
            ) from error
        raise ConfigError(
            f"run.root: expected a folder that can be written, but {file.parent} gave: {error.strerror}. Choose "
            "another with run.root=FOLDER, or copy the run to where you may write."
        ) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ConfigError(f"{file}: expected a file that a run made, but it is none. Remove it.")
    return os.fdopen(handle, "r+")


def unlock(path: Path) -> None:
    """Let go of a run directory."""
    file = _held.pop(path.resolve(), None)
    if file is not None:
        file.close()


def unlock_all() -> None:
    """Let go of all directories that this process holds, as its end would do."""
    for path in list(_held):
        unlock(path)


atexit.register(unlock_all)
