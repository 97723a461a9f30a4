"""Processes that share the items of a sweep, one for each GPU or share of the CPUs, without communication.

Each asks for an item, trains it in its run directories, and answers with the objectives. The largest
items go first: the work balances itself. On CPUs the process that started the others takes part.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any

from gaplab.errors import ConfigError, Preempted
from gaplab.process.children import Child, reap, signal_all, start_another
from gaplab.process.signals import STOP_SIGNAL
from gaplab.runs.directory import RunDirectory, Status, read_json
from gaplab.runs.results import read_objective
from gaplab.storage.locking import unlock
from gaplab.sweeps.run_job import ENDED_WELL, record_failure
from gaplab.sweeps.schedule import Log, PlannedRun, WorkItem

Answer = list[float] | str
"""Objectives of an item, or why its models cannot be stacked."""
Work = Callable[[WorkItem], Answer]

TIMEOUT_SECONDS = 60.0
"""How long a worker may take to save when the sweep ends by an error."""


@dataclass(slots=True)
class Worker:
    """A process of the pool, and what it does."""

    child: Child
    item: WorkItem | None = None
    ready: bool = False
    """Whether it has been heard of."""


class WorkerPool:
    """Hands out items to workers, and reports what they report.

    A thread attends to the workers, so that this process can do an item meanwhile.

    Args:
        workers: Processes that run ``worker_main``, each in a session of its own; all have ended at the end.
        report: Told how many model-steps were taken and how many runs diverged.
        log: Where sentences for the user go.
    """

    def __init__(self, workers: Sequence[Child], report: Callable[[int, int], None] | None, log: Log) -> None:
        self.workers = {child.pipe: Worker(child) for child in workers}
        self.report, self.log = report, log
        self.passed_on = 0
        self.takes_part = self.over = False
        self.lock = threading.Lock()
        self.unanswered: set[int] = set()
        """Items whose answers have not been looked at; they may fail and come back in pieces."""
        self.bell, self.button = Pipe(duplex=False)
        """Wakes the thread when the last answer has been looked at, so that the workers go home at once."""
        self.arrived: SimpleQueue[tuple[WorkItem, Answer] | BaseException | None] = SimpleQueue()

    def answers(self, queue: deque[WorkItem], work: Work | None = None) -> Iterator[tuple[WorkItem, Answer]]:
        """Train what is in the queue, to which may be added meanwhile; yield items and their answers.

        Args:
            queue: The items.
            work: What this process does with an item; None: it only watches.

        Raises:
            ConfigError: For a mistake that a worker has found.
            Preempted: When all workers have saved after a stop signal.
            RuntimeError: If a worker cannot even start, and this process takes no part.
        """
        self.takes_part = work is not None
        for job in [job for item in queue for job in item.jobs]:
            unlock(job.plan.path)  # whoever trains it will hold it
        attendance = threading.Thread(target=self._attend, args=(queue,), daemon=True)
        attendance.start()
        attended = True
        try:
            while True:
                if work is not None and (item := self._next(queue)) is not None:
                    yield item, work(item)
                    self._looked_at(item, queue)
                    continue
                if not attended:
                    break
                arrival = self.arrived.get()
                if isinstance(arrival, BaseException):
                    raise arrival
                if arrival is None:
                    attended = False
                    continue
                yield arrival
                self._looked_at(arrival[0], queue)
            if STOP_SIGNAL.number:
                raise Preempted(STOP_SIGNAL.number)
        except KeyboardInterrupt:
            for worker in list(self.workers.values()):
                worker.child.process.kill()
            raise
        finally:
            self.over = True
            attendance.join()
            self.bell.close()
            self.button.close()

    def _looked_at(self, item: WorkItem, queue: deque[WorkItem]) -> None:
        """Note that nothing of an item comes back; wake the thread if that was the last one."""
        self.unanswered.discard(id(item))
        if not self.unanswered and not queue:
            self.button.send_bytes(b"")

    def _next(self, queue: deque[WorkItem]) -> WorkItem | None:
        """Take an item out of the queue, which two threads do; None where there is none."""
        with self.lock:
            if not queue:
                return None
            item = queue.popleft()
            self.unanswered.add(id(item))
            return item

    def _attend(self, queue: deque[WorkItem]) -> None:
        """Hear and wake the workers until all have gone home."""
        try:
            while self.workers and not self.over:
                self._pass_on_signal()
                for pipe in wait([self.bell, *self.workers], timeout=0.2):
                    assert isinstance(pipe, Connection)
                    if pipe is self.bell:
                        pipe.recv_bytes()
                    else:
                        self._hear(pipe, queue)
                self._wake(queue)
        except BaseException as error:
            self.arrived.put(error)
        finally:
            self._end()
            self.arrived.put(None)

    def _pass_on_signal(self) -> None:
        if STOP_SIGNAL.number != self.passed_on:
            self.passed_on = STOP_SIGNAL.number
            signal_all([worker.child for worker in self.workers.values()], self.passed_on)

    def _hear(self, pipe: Connection, queue: deque[WorkItem]) -> None:
        worker = self.workers[pipe]
        try:
            kind, content = pipe.recv()
        except (EOFError, OSError):
            self._gone(pipe, queue)
            return
        if kind == "steps":
            if self.report is not None:
                self.report(*content)
        elif kind == "mistake":
            raise ConfigError(content)
        else:
            item, worker.item, worker.ready = worker.item, None, True
            if kind == "ready":
                return
            assert item is not None, "who answers was asked"
            self.arrived.put((item, content))
            if kind == "last answer":
                self._replace(pipe, queue)

    def _wake(self, queue: deque[WorkItem]) -> None:
        """Hand items to the workers that wait; send all home when nothing is left to wait for."""
        for pipe, worker in list(self.workers.items()):
            if worker.item is not None:
                continue
            if not worker.ready:
                if not queue and not self.unanswered:
                    worker.child.process.kill()  # all was done before it had begun
                    self._dismiss(pipe)
                continue
            message: Any = None
            if not STOP_SIGNAL.number:
                message = worker.item = self._next(queue)
                if message is None and self.unanswered:
                    continue  # what the others do may fail and come back
            try:
                pipe.send(message)
            except OSError:
                continue  # it is gone, which the next round finds out

    def _dismiss(self, pipe: Connection) -> str:
        """Forget a worker that ends; return how."""
        child = self.workers.pop(pipe).child
        pipe.close()
        return child.ending()

    def _replace(self, pipe: Connection, queue: deque[WorkItem]) -> str:
        """Put another process in the place of one that ends, if there is work left; return how it ended."""
        child = self.workers[pipe].child
        how = self._dismiss(pipe)
        if queue and not STOP_SIGNAL.number:
            child = start_another(child)
            self.workers[child.pipe] = Worker(child)
        return how

    def _gone(self, pipe: Connection, queue: deque[WorkItem]) -> None:
        worker = self.workers[pipe]
        if not worker.ready:
            how = self._dismiss(pipe)
            if STOP_SIGNAL.number:
                return
            if not self.takes_part:
                raise RuntimeError(f"A process of the sweep {how} before it could begin.")
            self.log(f"A process of the sweep {how} before it could begin; going on without it.")
            return
        how = self._replace(pipe, queue)
        if STOP_SIGNAL.number or worker.item is None:
            return
        jobs = worker.item.jobs
        lost = [job for job in jobs if _mark_failed(job, f"its process {how}")]
        self.log(
            f"A process of the sweep {how}; {len(lost)} of its {len(jobs)} runs are not done. "
            "The same command tries them again."
        )
        self.arrived.put((worker.item, [_objective(RunDirectory(job.plan.path)) for job in jobs]))

    def _end(self) -> None:
        """Let the workers that are left save, and end."""
        self._pass_on_signal()  # this process may have obeyed it before anybody was told
        left = [worker.child for worker in self.workers.values()]
        self.workers.clear()
        for child in left:
            child.pipe.close()  # a worker that finds its pipe closed saves and ends
        reap(left, TIMEOUT_SECONDS)


def _mark_failed(job: PlannedRun, reason: str) -> bool:
    """Mark a run that was at work when its process ended; return whether it is not finished."""
    run = RunDirectory(job.plan.path)
    record_failure(job.plan.composed, run.path, reason)
    run.record = read_json(run.path / "run.json")
    if run.record.get("status") == Status.running:
        run.mark(Status.failed, error=reason)
    return run.record["status"] not in (Status.finished, *ENDED_WELL)


def _objective(run: RunDirectory) -> float:
    if read_json(run.path / "run.json")["status"] != Status.finished:
        return math.nan
    return read_objective(run.path)
