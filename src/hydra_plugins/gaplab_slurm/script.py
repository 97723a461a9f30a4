"""The batch script of an array of jobs, as a text."""

import shlex
import sys
from pathlib import Path

from gaplab.config.cluster import SlurmConfig
from gaplab.config.trainer import Accelerator
from gaplab.sweeps.job import SweepJob


def batch_script(site: SlurmConfig, job: SweepJob, num_tasks: int, folder: Path) -> str:
    """Return the script for sbatch.

    Args:
        site: The site's settings.
        job: Any of the jobs; all need equally many nodes and processes.
        num_tasks: Array tasks; task i runs the frozen jobs in ``folder/i.json``.
        folder: Absolute path.
    """
    gpus = site.gpus and job.composed.config.trainer.accelerator is not Accelerator.cpu
    kind = f"gpu:{site.gpu_type}" if site.gpu_type else "gpu"
    limit = f"%{site.jobs_at_once}" if site.jobs_at_once else ""
    options = {
        "--job-name": "gaplab",
        "--array": f"0-{num_tasks - 1}{limit}",
        "--nodes": job.num_nodes,
        "--ntasks-per-node": job.processes_per_node,
        "--cpus-per-task": site.cpus_per_process,
        "--gres": f"{kind}:{job.processes_per_node}" if gpus else None,
        "--mem": f"{site.memory_gb}G" if site.memory_gb else None,
        "--time": site.time_minutes,
        "--signal": f"USR1@{site.warning_seconds}",
        "--partition": site.partition,
        "--account": site.account,
        "--output": folder / "%a.txt",
    }
    lines = [f"#SBATCH {name}={value}" for name, value in options.items() if value is not None]
    # A requeued job goes on in the same log. It is gaplab that requeues, after it has saved.
    lines += ["#SBATCH --open-mode=append", "#SBATCH --requeue"]
    lines += [f"#SBATCH {option}" for option in site.options]
    command = ["srun", "--kill-on-bad-exit=1", f"--cpus-per-task={site.cpus_per_process}"]
    command += [
        sys.executable,
        "-m",
        "gaplab.sweeps.job_main",
        *(["--vectorized"] if site.vectorized else []),
    ]
    place = f"{shlex.quote(str(folder))}/$SLURM_ARRAY_TASK_ID.json"
    return "\n".join(["#!/bin/bash", *lines, *site.setup, f"{shlex.join(command)} {place}", ""])
