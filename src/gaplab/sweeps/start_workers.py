"""Starting the processes of a worker pool. Nothing heavy is imported here: they load Torch while their starter does."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from gaplab.process.devices import Share


@dataclass(slots=True)
class Worker:
    """A process of a worker pool, and what it does."""

    process: subprocess.Popen[bytes]
    share: Share
    item: Any = None
    ready: bool = False
    """Whether it has been heard of."""


Workers = dict[Connection, Worker]


def start_worker(share: Share) -> tuple[Connection, Worker]:
    """Start a process with a part of the machine; return it with the pipe to it."""
    ours, theirs = Pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "gaplab.sweeps.worker_main", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C comes from us, once
        env=os.environ | share,
    )
    theirs.close()
    return ours, Worker(process, share)


@contextlib.contextmanager
def started_workers(shares: Sequence[Share]) -> Iterator[Workers]:
    """Start a process for each share; those that nobody has sent home by the end of the block are killed."""
    workers: Workers = {}
    try:
        for share in shares:
            pipe, worker = start_worker(share)
            workers[pipe] = worker
        yield workers
    finally:
        for pipe, worker in workers.items():
            pipe.close()
            worker.process.kill()
            worker.process.wait()
