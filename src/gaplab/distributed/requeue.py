"""Asking SLURM to start a preempted job again."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping

from gaplab.distributed.ranks import is_interactive
from gaplab.errors import Preempted

WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)
"""Signals that announce a time limit or a preemption. SIGTERM also comes from ``scancel``, after which
nobody wants the job back; preemption by SLURM itself (``PreemptMode=REQUEUE``) requeues without our help."""


def requeue(stop: Preempted, environment: Mapping[str, str] = os.environ) -> None:
    """Requeue the SLURM job of this process after a warning signal; call it on one process of the job."""
    unwanted = stop.number not in WARNINGS or "SLURM_JOB_ID" not in environment
    if stop.requeued or unwanted or is_interactive(environment):
        return
    stop.requeued = True
    job = environment["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in environment:
        job = f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    # Said before it is asked: SLURM ends srun at once, and with it what the log would still get.
    print(f"Saved after {stop}; asking SLURM to requeue job {job}.", file=sys.stderr, flush=True)
    try:
        answer = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=60)
        problem = answer.stderr.strip() if answer.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem:
        print(f"SLURM does not requeue job {job}: {problem}", file=sys.stderr, flush=True)
