"""Signals that ask a run to stop: noted when they come, obeyed between two blocks of steps.

A handler that saves by itself would enter collective calls while the other processes are in different
ones, and wait for ever. This one only sets a flag; ``Checkpoints`` lets all processes agree on it. Imports
no torch, so that the handlers can be in place before the seconds that such imports take.
"""

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Iterator
from types import FrameType

from gaplab.errors import Preempted

STOP_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class StopSignal:
    """The signal that this process has received, 0 for none."""

    def __init__(self) -> None:
        self.number = 0
        self.obeyed_at_once = False

    def install(self) -> None:
        """Take over the stop signals, also from Lightning, which brings handlers of its own."""
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
                    signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.number == signal.SIGINT:
            raise KeyboardInterrupt  # the second Ctrl-C does not wait
        if number == signal.SIGHUP:
            leave_terminal()
        self.number = number
        if self.obeyed_at_once:
            self.obeyed_at_once = False  # once: what is said and written meanwhile is not to be interrupted
            raise Preempted(number, saved=False)


STOP_SIGNAL = StopSignal()
"""A process has one set of signal handlers, hence one of these."""


def leave_terminal() -> None:
    """Send to nowhere what would go to a terminal that is gone: to write there is an error, also while saving."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


@contextlib.contextmanager
def stop_signals_caught() -> Iterator[None]:
    """Note stop signals instead of obeying them; blocks may be nested."""
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    if STOP_SIGNAL._note not in previous.values():
        STOP_SIGNAL.number = 0
    STOP_SIGNAL.install()
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in previous.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def stop_signals_obeyed() -> Iterator[None]:
    """Raise ``Preempted`` as soon as a stop signal comes: for work of one process that has nothing to save."""
    with stop_signals_caught():
        STOP_SIGNAL.obeyed_at_once = True
        try:
            if STOP_SIGNAL.number:
                raise Preempted(STOP_SIGNAL.number, saved=False)
            yield
        finally:
            STOP_SIGNAL.obeyed_at_once = False
