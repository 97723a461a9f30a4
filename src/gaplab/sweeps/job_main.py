"""Run frozen jobs: ``python -m gaplab.sweeps.job_main [--vectorized] FILE``; the batch scripts of SLURM do."""

import sys
from pathlib import Path

from gaplab.config.extensions import load_extensions
from gaplab.distributed.requeue import requeue
from gaplab.errors import Preempted
from gaplab.process.exits import is_first_process, readable_exits
from gaplab.process.output import steady_output
from gaplab.process.signals import stop_signals_caught
from gaplab.sweeps.frozen_jobs import thaw
from gaplab.sweeps.run_job import exit_code, run_in_turn
from gaplab.sweeps.run_sweep import train_stacked


def main(arguments: list[str]) -> None:
    """Run the jobs of a file, one after another or as stacked models; the exit code is that of a sweep."""
    steady_output()
    (file,) = (Path(argument) for argument in arguments if not argument.startswith("-"))
    with readable_exits(), stop_signals_caught():
        load_extensions()
        jobs = thaw(file)
        try:
            if "--vectorized" in arguments:
                train_stacked(jobs)
            else:
                run_in_turn(jobs)
        except Preempted as stop:
            if is_first_process():
                requeue(stop)
            raise
        if is_first_process():
            sys.exit(exit_code([job.path for job in jobs]))


if __name__ == "__main__":
    main(sys.argv[1:])
