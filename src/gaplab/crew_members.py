"""Starting the processes of a crew. Nothing heavy is imported here: they load Torch while their starter does."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from gaplab.config.generation import GenerationConfig
from gaplab.config.schema import Config
from gaplab.ensembles.grouping import obstacle
from gaplab.runs.shares import Share

START_SECONDS = 8.0
"""Seconds of one core that another process should save, so that loading and compiling once more pays."""
STEP_SECONDS, GAN_STEP_SECONDS = 1e-5, 4e-3
"""A compiled model-step of a classifier, and a step of a GAN."""
POINT_SECONDS, RUN_SECONDS = 2e-8, 2e-2
"""Scoring one point, and drawing the points and writing the files of a run."""
SMALL_NETWORK = 600
"""Parameters of the network that these were measured with."""


@dataclass(slots=True)
class Worker:
    """A process of a crew, and what it does."""

    process: subprocess.Popen[bytes]
    share: Share
    portion: Any = None
    ready: bool = False
    """Whether it has been heard of."""


Workers = dict[Connection, Worker]


def start_worker(share: Share) -> tuple[Connection, Worker]:
    """Start a process with a part of the machine; return it with the pipe to it."""
    ours, theirs = Pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "gaplab.crew_worker", str(theirs.fileno())],
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


def worthwhile_processes(configs: Sequence[Config], cpus: int) -> int:
    """Return by how many processes the runs of a sweep are done soonest on some processors.

    Only runs that are stacked count: others may start processes of their own.
    """
    stacked = [config for config in configs if obstacle(config) is None]
    work = sum(map(estimated_seconds, stacked)) if len(stacked) == len(configs) else 0.0
    threads = max((config.trainer.num_threads or cpus) for config in configs)
    return max(1, min(cpus // threads, 1 + int(work / START_SECONDS)))


def estimated_seconds(config: Config) -> float:
    """Return roughly how long one core has to do with a run that is stacked with others."""
    data, steps = config.data, config.num_steps
    if isinstance(config.task, GenerationConfig):
        return RUN_SECONDS + GAN_STEP_SECONDS * steps
    widths = [2, *getattr(config.network, "widths", [100]), 3]
    size = max(1.0, sum(a * b for a, b in pairwise(widths)) / SMALL_NETWORK)
    points = data.num_points + data.num_val_points + data.num_test_points
    scored = points * -(-steps // config.steps_between_evaluations)
    return RUN_SECONDS + size * (STEP_SECONDS * steps + POINT_SECONDS * scored)
