"""Run frozen jobs: ``python -m gaplab.sweeps.job_main [--with-parent] [--vectorized] FILE``; launchers start this."""

import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gaplab.config.registry import register_all
from gaplab.distributed.requeue import requeue
from gaplab.errors import Preempted
from gaplab.launch.processes import end_with_parent, run_with_all_processes
from gaplab.process.devices import keep_to_share
from gaplab.process.exits import EXIT_FAILED, is_first_process, readable_exits
from gaplab.process.signals import STOP_SIGNAL, stop_signals_caught
from gaplab.sweeps.frozen_jobs import thaw
from gaplab.sweeps.job import SweepJob
from gaplab.sweeps.run_sweep import train_sweep


def main(arguments: list[str]) -> None:
    """Run the jobs of a file, one after another or as stacked models; one that fails makes the exit code 1."""
    keep_to_share()
    if "--with-parent" in arguments:
        end_with_parent()
    (file,) = (Path(argument) for argument in arguments if not argument.startswith("-"))
    with readable_exits(), stop_signals_caught():
        register_all()
        jobs = thaw(file)
        try:
            if "--vectorized" in arguments:
                _run_together(jobs)
            elif len(jobs) == 1:
                _run(jobs[0])
            else:
                _run_in_turn(jobs)
        except Preempted as stop:
            if is_first_process():
                requeue(stop)
            raise


def _run_together(jobs: Sequence[SweepJob]) -> None:
    train_sweep([(job.composed, job.path) for job in jobs])


def _run(job: SweepJob) -> None:
    from gaplab.runs.resume import plan_new

    run_with_all_processes(partial(plan_new, job.composed, job.path), job.composed.config)


def _run_in_turn(jobs: Sequence[SweepJob]) -> None:
    failed = 0
    for job in jobs:
        if STOP_SIGNAL.number:  # it came when the job before had no more steps to interrupt
            raise Preempted(STOP_SIGNAL.number)
        try:
            _run(job)
        except Exception:  # a job that fails must not end those after it
            traceback.print_exc()
            failed += 1
    if failed:
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main(sys.argv[1:])
