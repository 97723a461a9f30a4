"""Run frozen jobs: ``python -m gaplab.job [--with-parent] FOLDER_OR_FILE ...``; launchers start this."""

import os
import sys
import traceback
from functools import partial
from pathlib import Path

from gaplab.callbacks.preemption import NOTED, Preempted
from gaplab.config.jobs import Job, thaw
from gaplab.config.registry import register_all
from gaplab.exits import EXIT_FAILED, readable_exits
from gaplab.processes import end_with_parent, run_with_all_processes

CPUS = "GAPLAB_CPUS"
"""Environment variable with the processors that the job may use, such as ``0,1``."""


def main(arguments: list[str]) -> None:
    """Run jobs one after another; the exit code is that of the worst of them."""
    if CPUS in os.environ and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(number) for number in os.environ[CPUS].split(",")})
    if "--with-parent" in arguments:
        end_with_parent()
    files: list[Path] = []
    for place in (Path(argument) for argument in arguments if not argument.startswith("-")):
        files += sorted(place.glob("*.yaml")) if place.is_dir() else [place]
    with readable_exits():
        register_all()
        jobs = [thaw(file) for file in files]
        if len(jobs) == 1:
            _run(jobs[0])
        elif sum(_succeeds(job) for job in jobs) < len(jobs):
            sys.exit(EXIT_FAILED)


def _run(job: Job) -> None:
    from gaplab.runs.opening import plan_new

    run_with_all_processes(partial(plan_new, job.composed, job.path), job.composed.config)


def _succeeds(job: Job) -> bool:
    try:
        _run(job)
    except Exception:  # a job that fails must not end those after it
        traceback.print_exc()
        return False
    if NOTED.number:  # it came when the job had no more steps to interrupt
        raise Preempted(NOTED.number, job.composed.config.num_steps)
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
