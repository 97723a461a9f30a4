"""Processes that this one starts: the others of a run, and the workers of a sweep.

A child runs a module of gaplab and holds one end of a pipe, through which it is told what to do and finds out
that its parent has ended. Nothing heavy is imported here: children load Torch while their parent does.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from gaplab.process.devices import Share

COMMAND = "GAPLAB_COMMAND"
"""The environment variable in which a process finds what the user typed."""


def typed_command() -> str:
    """Return the command that the user typed, also in a process that another one has started."""
    return os.environ.get(COMMAND) or shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


@dataclass(slots=True, eq=False)
class Child:
    """A process, the pipe to it, and how it was started."""

    process: subprocess.Popen[bytes]
    pipe: Connection
    module: str
    share: Share
    own_session: bool

    @property
    def has_failed(self) -> bool:
        """Whether it has ended, and not well."""
        return self.process.poll() not in (None, 0)

    @property
    def was_killed(self) -> bool:
        """Whether a signal has ended it."""
        return (self.process.poll() or 0) < 0

    def ending(self) -> str:
        """Wait for its end; return it as the predicate of a sentence."""
        code = self.process.wait()
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


def start_child(module: str, share: Share | None = None, *, own_session: bool = False) -> Child:
    """Start ``python -m module``, which finds its end of the pipe with ``pipe_to_parent``.

    Args:
        module: What to run.
        share: Environment variables that give it its part of the machine.
        own_session: Whether Ctrl-C in the terminal is to reach it only through its parent.
    """
    share = share or {}
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=own_session,
            env=os.environ | share | {COMMAND: typed_command()},
        )
    return Child(process, ours, module, share, own_session)


def start_another(child: Child) -> Child:
    """Start a process like one that has ended."""
    return start_child(child.module, child.share, own_session=child.own_session)


@contextlib.contextmanager
def started_children(
    module: str, shares: Sequence[Share], *, own_session: bool = False
) -> Iterator[list[Child]]:
    """Start a process for each share; those that are left at the end of the block are killed."""
    children: list[Child] = []
    try:
        for share in shares:
            children.append(start_child(module, share, own_session=own_session))
        yield children
    finally:
        reap(children)


def signal_all(children: Iterable[Child], number: int) -> None:
    """Pass a signal on to those that run."""
    for child in children:
        child.process.send_signal(number)


def reap(children: Sequence[Child], patience_seconds: float = 0.0) -> None:
    """Wait for processes to end, and kill those that do not within some seconds; close the pipes."""
    deadline = time.monotonic() + patience_seconds
    for child in children:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        child.pipe.close()


def pipe_to_parent() -> Connection:
    """Return the pipe to the process that has started this one with ``start_child``."""
    return Connection(int(sys.argv[1]))


def end_with_parent(pipe: Connection) -> None:
    """End this process at once when its parent ends or sends more, in whatever call the main thread is."""

    def wait() -> None:
        pipe.poll(None)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
