"""Submitting a sweep to SLURM: one array job for each shape of jobs, each task with its own frozen configurations."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import count, groupby
from pathlib import Path

from gaplab.config.cluster import SlurmConfig
from gaplab.config.trainer import Accelerator
from gaplab.errors import ConfigError
from gaplab.process.children import COMMAND, typed_command
from gaplab.storage.locking import lock, unlock
from gaplab.sweeps.frozen_jobs import freeze
from gaplab.sweeps.job import SweepJob
from gaplab.sweeps.packing import pack
from gaplab.sweeps.run_job import status


def submit_sweep(site: SlurmConfig, jobs: Sequence[SweepJob]) -> None:
    """Submit the jobs that are neither finished nor at work.

    Raises:
        ConfigError: If there is no SLURM, or it refuses.
    """
    unfinished = [job for job in jobs if status(job.path) != "finished"]
    if len(unfinished) < len(jobs):
        print(f"{len(jobs) - len(unfinished)} of {len(jobs)} jobs are finished already.")
    waiting = [job for job in unfinished if not at_work(job.path)]
    if len(waiting) < len(unfinished):
        print(f"{len(unfinished) - len(waiting)} of {len(jobs)} jobs are at work; they are left alone.")
    for _, group in groupby(sorted(waiting, key=_shape), key=_shape):
        submit(site, list(group), jobs[0].path.parent.resolve() / "slurm")


def submit(site: SlurmConfig, jobs: list[SweepJob], folder: Path) -> None:
    """Freeze the jobs in a new folder below ``folder`` and submit them as one array.

    Raises:
        ConfigError: If there is no SLURM, or it refuses.
    """
    tasks = pack(jobs, site.most_jobs_per_task, by_group=site.vectorized)
    if site.dry_run:
        print(batch_script(site, jobs[0], len(tasks), folder / "0"))
        return
    if shutil.which("sbatch") is None:
        raise ConfigError(
            "hydra/launcher=slurm: expected the command sbatch, but this machine has none. Start from a "
            "login node, or look at the script with hydra.launcher.dry_run=true."
        )
    folder = new_folder(folder)
    script = batch_script(site, jobs[0], len(tasks), folder)
    for number, task in enumerate(tasks):
        freeze(task, folder / f"{number}.json")
    (folder / "batch.sh").write_text(script)
    answer = subprocess.run(
        ["sbatch", "--parsable", str(folder / "batch.sh")], capture_output=True, text=True
    )
    if answer.returncode:
        raise ConfigError(
            f"hydra/launcher=slurm: sbatch refuses {folder / 'batch.sh'}: {answer.stderr.strip()}"
        )
    array = answer.stdout.strip().split(";")[0]
    print(f"Submitted {len(jobs)} jobs as {array}_[0-{len(tasks) - 1}]; scancel {array} ends them.")
    if site.vectorized:
        print(f"Each task trains up to {max(map(len, tasks))} of them as stacked models.")
    print(f"Follow: tail -F {shlex.quote(str(folder))}/*.txt")
    print(f"Runs: {jobs[0].path.parent}")


def new_folder(folder: Path) -> Path:
    """Make the first free one of ``folder/0``, ``folder/1``, ...: tasks that wait read the files of the others."""
    for number in count():
        try:
            (folder / str(number)).mkdir(parents=True)
        except FileExistsError:
            continue
        return folder / str(number)
    raise AssertionError("numbers do not end")


def at_work(run: Path) -> bool:
    """Whether another process holds the lock of a run."""
    if not run.is_dir():
        return False
    try:
        lock(run)
    except ConfigError:
        return True
    unlock(run)
    return False


def _shape(job: SweepJob) -> tuple[int, int, str]:
    return job.num_nodes, job.processes_per_node, job.composed.config.trainer.accelerator


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
        "--output": shlex.quote(str(folder / "%a.txt")) if " " in str(folder) else folder / "%a.txt",
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
    typed = f"export {COMMAND}={shlex.quote(typed_command())}"
    return "\n".join(["#!/bin/bash", *lines, typed, *site.setup, f"{shlex.join(command)} {place}", ""])
