"""One live run a directory: a lock that ends with the process that holds it, however that ends."""

import atexit
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaplab.errors import ConfigError
from gaplab.storage.atomic import write_bytes
from gaplab.storage.reading import read_regular

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".lock"
OWNER = ".lock.owner"
"""Who holds the lock: on Windows nobody else can read a file that is locked."""
MARKER = ".lock.marker"
"""What stands for the lock where the file system has none."""
WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
POLL_SECONDS = 0.2

_held: dict[Path, "BaseFileLock"] = {}


def lock(path: Path, timeout_seconds: float = 0.0) -> None:
    """Claim a run directory for this process; does nothing if it holds it already.

    The lock is the file system's, so that ``kill -9`` or the loss of a node cannot leave it behind. Where there are
    no such locks, a marker with process and host stands for it: left behind by a process of this host that is gone, it
    is taken over; left by another host, it must be removed by hand.

    Args:
        path: An existing directory.
        timeout_seconds: How long to wait for another process to let go: a requeued job may start while its
            former self still ends.

    Raises:
        ConfigError: If another process holds it, or the lock is a link or a pipe that somebody put there.
    """
    from filelock import Timeout  # takes a twentieth of a second

    path = path.resolve()
    if path in _held:
        return
    file = path / LOCK
    if file.is_symlink() or (file.exists() and not file.is_file()):
        what = "it is a link" if file.is_symlink() else "it is none"
        raise ConfigError(f"{file}: expected a file that a run made, but {what}. Remove it.")
    try:
        held = _acquire(file, timeout_seconds)
    except Timeout as refused:
        owner = (read_regular(path / OWNER) or b"").decode(errors="replace").strip() or "an unknown process"
        by_hand = f", remove {refused.lock_file} if it is gone" if refused.lock_file.endswith(MARKER) else ""
        raise ConfigError(
            f"{path}: a run is at work in this directory ({owner}). Wait for it, stop it{by_hand}, or choose "
            "another run.id."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"run.root: expected a folder that can be written, but {path} gave: {error.strerror}. Choose "
            "another with run.root=FOLDER, or copy the run to where you may write."
        ) from error
    _held[path] = held
    with suppress(OSError):  # a full disk; what must be written will say so
        write_bytes(
            path / OWNER, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), durable=False
        )


def _acquire(file: Path, timeout_seconds: float, *, marked: bool = True) -> "BaseFileLock":
    """Lock a file; with ``marked``, make the marker beside it where the file system has no locks."""
    from filelock import FileLock, SoftFileLock

    # Newer versions would look in each directory whether it has locks, with a file that they remove again.
    own_way: dict[str, Any] = {"fallback_to_soft": False} if hasattr(FileLock, "fallback_to_soft") else {}
    # Threads of a sweep lock what the main thread unlocks.
    held: BaseFileLock = FileLock(file, thread_local=False, **own_way)
    try:
        held.acquire(timeout_seconds, poll_interval=POLL_SECONDS)
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS or not marked:
            raise
        held = SoftFileLock(file.with_name(MARKER), thread_local=False)
        wait = (
            timeout_seconds or 2 * POLL_SECONDS
        )  # a first attempt removes what a dead process left, a second takes it
        held.acquire(wait, poll_interval=POLL_SECONDS)
    return held


@contextmanager
def alone(file: Path, timeout_seconds: float = -1, *, marked: bool = True) -> Iterator[bool]:
    """Let no other process into the block that names the same file; say whether that is so.

    It is not if another process is in its block after some seconds. A negative number waits for it forever.

    Raises:
        OSError: If the file cannot be locked; with ``marked``, a marker stands for it where there are no locks.
    """
    from filelock import Timeout

    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = _acquire(file, timeout_seconds, marked=marked)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        held.release()


def unlock(path: Path) -> None:
    """Let go of a run directory."""
    path = path.resolve()
    if path in _held:
        with suppress(OSError):
            (path / OWNER).unlink(missing_ok=True)
        _held.pop(path).release()


def unlock_all() -> None:
    """Let go of all directories that this process holds, as its end would do."""
    for path in list(_held):
        unlock(path)


atexit.register(unlock_all)
