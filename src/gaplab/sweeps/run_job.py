"""One run of a sweep by itself: a failure is shown and recorded, and does not stop the others."""

import contextlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gaplab.config.compose import Composed
from gaplab.distributed.ranks import find_ranks
from gaplab.errors import ConfigError, DivergedError, Preempted, RendezvousError
from gaplab.launch.processes import run_with_all_processes
from gaplab.process.exits import EXIT_FAILED, is_first_process, tell_failure
from gaplab.process.memory import release_memory
from gaplab.process.signals import STOP_SIGNAL
from gaplab.storage.reading import read_regular
from gaplab.sweeps.job import SweepJob

if TYPE_CHECKING:
    from gaplab.runs.resume import Plan
ENDED_WELL = ("diverged", "pruned")
"""What may become of a run, beside that it finishes, though nothing failed."""


def run_in_turn(jobs: Sequence[SweepJob]) -> list[float]:
    """Run jobs one after another, each with all its processes; return their objectives.

    Raises:
        Preempted: After a stop signal, also one that came when a job had no more steps to interrupt.
    """

    def decide(job: SweepJob) -> "Plan":
        from gaplab.runs.resume import plan_new

        return replace(plan_new(job.composed, job.path), until=job.until)

    objectives = []
    for job in jobs:
        objectives.append(run_job(partial(decide, job), job.composed, job.path))
        if STOP_SIGNAL.number:
            raise Preempted(STOP_SIGNAL.number)
    return objectives


def run_job(decide: Callable[[], "Plan"], composed: Composed, path: Path) -> float:
    """Run what is decided on rank 0; return its objective, NaN if it failed or diverged.

    Raises:
        Exception: What ended a run of the processes of torchrun or srun, if it leaves them apart: they cannot
            be brought together again.
    """
    try:
        return run_with_all_processes(decide, composed.config)
    except Exception as error:
        together = isinstance(error, ConfigError | DivergedError) and not isinstance(error, RendezvousError)
        if find_ranks() is not None and not together:
            raise
        if is_first_process():
            tell_failure(path.name, error)
            record_failure(composed, path, f"{type(error).__name__}: {error}")
        return math.nan
    finally:
        release_memory()


def record_failure(composed: Composed, path: Path, reason: str) -> None:
    """Let a run that failed before its directory was opened leave one that says why.

    A directory that is there already tells of this run, or of another that it belongs to.
    """
    from gaplab.runs.directory import RunDirectory, Status
    from gaplab.storage.locking import unlock

    run = RunDirectory(path)
    if (path / "run.json").is_file():
        unlock(path)
        return
    with contextlib.suppress(ConfigError):  # it cannot be written; the message has been shown
        run.open(composed)
        run.mark(Status.failed, error=reason)
        unlock(path)


def exit_code(runs: Sequence[Path]) -> int:
    """Return the exit code of a sweep: 0 if some runs finished and the others at most diverged or were pruned."""
    found = {status(run) for run in runs}
    return 0 if not found or ("finished" in found and found <= {"finished", *ENDED_WELL}) else EXIT_FAILED


def status(run: Path) -> str | None:
    """Return the status of a run; None where there is none."""
    try:
        return str(json.loads(read_regular(run / "run.json") or b"")["status"])
    except (ValueError, KeyError, TypeError):
        return None
