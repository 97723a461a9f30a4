"""Processes that share the portions of a sweep, one for each GPU or share of the CPUs, without communication.

Each asks for a portion, trains it in its run directories, and answers with the objectives. The one with the
fewest models to do asks first: the work balances itself.
"""

import math
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from gaplab.callbacks.preemption import NOTED, Preempted
from gaplab.chunking import Portion, Say
from gaplab.config.checks import ConfigError
from gaplab.runs.directory import RunDirectory, Status, read_json
from gaplab.runs.locking import unlock
from gaplab.runs.shares import Share

Answer = list[float] | str
"""Objectives of a portion, or why its models cannot be stacked."""

PATIENCE_SECONDS = 60.0
"""How long a worker may take to save when the sweep ends by an error."""


@dataclass(slots=True)
class Worker:
    process: subprocess.Popen[bytes]
    share: Share
    portion: Portion | None = None
    ready: bool = False
    """Whether it has been heard of."""


class Crew:
    """Starts the workers, hands out portions, and reports what they report.

    Args:
        shares: The part of the machine of each worker.
        report: Told how many model-steps were taken and how many runs diverged.
        say: Where sentences for the user go.
    """

    def __init__(self, shares: Sequence[Share], report: Callable[[int, int], None] | None, say: Say) -> None:
        self.shares, self.report, self.say = shares, report, say
        self.workers: dict[Connection, Worker] = {}
        self.passed_on = 0

    def answers(self, queue: deque[Portion]) -> Iterator[tuple[Portion, Answer]]:
        """Train what is in the queue, to which may be added meanwhile; yield portions and their answers.

        Raises:
            ConfigError: For a mistake that a worker has found.
            Preempted: When all workers have saved after a stop signal.
            RuntimeError: If a worker cannot even start.
        """
        for portion in queue:
            for job in portion.jobs:
                unlock(job.plan.path)  # it is a worker that will hold it
        try:
            for share in self.shares:
                self._start(share)
            while self.workers:
                self._pass_on_signal()
                for pipe in wait(list(self.workers), timeout=0.2):
                    assert isinstance(pipe, Connection)
                    yield from self._hear(pipe, queue)
                self._wake(queue)
            if NOTED.number:
                raise Preempted(NOTED.number)
        except KeyboardInterrupt:
            for worker in self.workers.values():
                worker.process.kill()
            raise
        finally:
            self._end()

    def _start(self, share: Share) -> None:
        ours, theirs = Pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "gaplab.crew_worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C comes from us, once
            env=os.environ | share,
        )
        theirs.close()
        self.workers[ours] = Worker(process, share)

    def _pass_on_signal(self) -> None:
        if NOTED.number != self.passed_on:
            self.passed_on = NOTED.number
            for worker in self.workers.values():
                worker.process.send_signal(self.passed_on)

    def _hear(self, pipe: Connection, queue: deque[Portion]) -> Iterator[tuple[Portion, Answer]]:
        worker = self.workers[pipe]
        try:
            kind, content = pipe.recv()
        except (EOFError, OSError):
            yield from self._gone(pipe, queue)
            return
        if kind == "steps":
            if self.report is not None:
                self.report(*content)
        elif kind == "mistake":
            raise ConfigError(content)
        else:
            portion, worker.portion, worker.ready = worker.portion, None, True
            if kind == "answer":
                assert portion is not None, "who answers was asked"
                yield portion, content

    def _wake(self, queue: deque[Portion]) -> None:
        """Hand portions to the workers that wait; send all home when nothing is left to wait for."""
        busy = any(worker.portion is not None for worker in self.workers.values())
        for pipe, worker in self.workers.items():
            if not worker.ready or worker.portion is not None:
                continue
            message: Any = None
            if queue and not NOTED.number:
                message = worker.portion = queue.popleft()
                busy = True
            elif busy and not NOTED.number:
                continue  # what the others do may fail and come back
            try:
                pipe.send(message)
            except OSError:
                continue  # it is gone, which the next round finds out

    def _gone(self, pipe: Connection, queue: deque[Portion]) -> Iterator[tuple[Portion, Answer]]:
        worker = self.workers.pop(pipe)
        pipe.close()
        code = worker.process.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if NOTED.number or (code == 0 and worker.portion is None):
            return
        if not worker.ready:
            raise RuntimeError(f"A process of the sweep {how} before it could begin.")
        if worker.portion is not None:
            runs = worker.portion.jobs
            lost = [job for job in runs if _mark_failed(RunDirectory(job.plan.path), how)]
            self.say(
                f"A process of the sweep {how}; {len(lost)} of its {len(runs)} runs are not done. "
                "The same command tries them again."
            )
            yield worker.portion, [_objective(RunDirectory(job.plan.path)) for job in runs]
        if queue:
            self._start(worker.share)

    def _end(self) -> None:
        pipes, self.workers = self.workers, {}
        for pipe in pipes:
            pipe.close()  # a worker that finds its pipe closed saves and ends
        for worker in pipes.values():
            try:
                worker.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


def _mark_failed(run: RunDirectory, how: str) -> bool:
    """Mark a run that was at work when its process ended; return whether it is not finished."""
    file = run.path / "run.json"
    if not file.is_file():
        return True
    run.record = read_json(file)
    if run.record.get("status") == Status.running:
        run.mark(Status.failed, error=f"its process {how}")
    return run.record["status"] not in (Status.finished, Status.diverged)


def _objective(run: RunDirectory) -> float:
    file = run.path / "result.json"
    if not file.is_file() or read_json(run.path / "run.json")["status"] != Status.finished:
        return math.nan
    return float(read_json(file)["objective"])
