"""Submitting a sweep to SLURM: one array job for each shape of jobs, each task with its own frozen configurations."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import count, groupby
from pathlib import Path

from gaplab.config.cluster import SlurmConfig
from gaplab.config.trainer import Accelerator
from gaplab.distributed.ranks import SECRET
from gaplab.errors import ConfigError
from gaplab.process.children import COMMAND, typed_command
from gaplab.storage.locking import lock, unlock
from gaplab.sweeps.frozen_jobs import freeze, frozen_paths
from gaplab.sweeps.job import SweepJob
from gaplab.sweeps.packing import pack
from gaplab.sweeps.run_job import status

ARRAY = "array.txt"
"""Holds SLURM's number of a submission."""


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
    folder = jobs[0].path.parent.resolve() / "slurm"
    queued = queued_runs(folder) if waiting else set()
    left = [job for job in waiting if job.path.resolve() not in queued]
    if len(left) < len(waiting):
        print(
            f"{len(waiting) - len(left)} of {len(jobs)} jobs are in SLURM's queue already; they are left alone."
        )
    for _, group in groupby(sorted(left, key=_shape), key=_shape):
        submit(site, list(group), folder)


def submit(site: SlurmConfig, jobs: list[SweepJob], folder: Path) -> None:
    """Freeze the jobs in a new folder below ``folder`` and submit them as one array, or several where SLURM takes no
    array of that size.

    Raises:
        ConfigError: If there is no SLURM, or it refuses.
    """
    tasks = pack(jobs, site.most_jobs_per_task, by_group=site.vectorized)
    most = max_array_size()
    if most is not None and len(tasks) > most:
        print(f"SLURM takes arrays of at most {most} tasks here; {len(tasks)} tasks are several arrays.")
        for begin in range(0, len(tasks), most):
            submit_array(site, tasks[begin : begin + most], folder)
    else:
        submit_array(site, tasks, folder)


def submit_array(site: SlurmConfig, tasks: list[list[SweepJob]], folder: Path) -> None:
    """Freeze the jobs of some array tasks and submit them; see ``submit``."""
    jobs = [job for task in tasks for job in task]
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
    (folder / ARRAY).write_text(array)
    print(f"Submitted {len(jobs)} jobs as {array}_[0-{len(tasks) - 1}]; scancel {array} ends them.")
    if site.vectorized:
        print(f"Each task trains up to {max(map(len, tasks))} of them as stacked models.")
    print(f"Follow: tail -F {shlex.quote(str(folder))}/*.txt")
    print(f"Runs: {jobs[0].path.parent}")


def max_array_size() -> int | None:
    """Return how many tasks an array may have on this cluster; None where nobody says so."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"), re.MULTILINE)
    return max(1, int(found[1])) if found else None  # the largest index is one less, and indices begin with 0


def queued_runs(folder: Path) -> set[Path]:
    """Return the runs of earlier submissions below ``folder`` whose tasks SLURM still has in its queue."""
    found: set[Path] = set()
    for file in folder.glob(f"*/{ARRAY}"):
        array = file.read_text().strip()
        for number in _ask("squeue", "--noheader", "--array", f"--jobs={array}", "--format=%K").split():
            frozen = file.parent / f"{number}.json"
            if frozen.is_file():
                found |= set(frozen_paths(frozen))
    return found


def _ask(*command: str) -> str:
    """Return what a command of SLURM says; nothing where it fails, as squeue does for a job that is over."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""


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
        "--output": shlex.quote(str(folder / "%a.txt")),
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
    secret = f"export {SECRET}=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \\n')"
    return "\n".join(
        ["#!/bin/bash", *lines, typed, secret, *site.setup, f"{shlex.join(command)} {place}", ""]
    )
