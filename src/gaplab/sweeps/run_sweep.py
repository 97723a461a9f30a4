"""A whole sweep: its processes, its plans, its progress bar. No Torch before the processes are started."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gaplab.config.trainer import Accelerator
from gaplab.process.children import started_children
from gaplab.process.devices import Share, cpu_shares, gpu_shares, has_mps, own_cpus
from gaplab.process.fast_imports import quick_imports
from gaplab.sweeps.cost_model import worthwhile_processes
from gaplab.sweeps.job import SweepJob
from gaplab.sweeps.progress import SweepProgress

if TYPE_CHECKING:
    from gaplab.runs.resume import Plan


WORKER = "gaplab.sweeps.worker_main"


def train_stacked(
    jobs: Sequence[SweepJob],
    *,
    max_models: int | None = None,
    compile: bool | None = None,
    processes: int | None = None,
) -> list[float]:
    """Train the jobs of a sweep as stacked models under one progress bar; return their objectives.

    A job that is repeated, as a random sweeper may do, is trained once.

    Args:
        jobs: Configurations and directories.
        max_models: As for ``run_many``.
        compile: As for ``run_many``.
        processes: Processes that share the work; None for one a GPU, or as many as the CPUs and the work
            suggest.

    Raises:
        ConfigError: If a directory holds another run, or the memory does not hold one model.
        Preempted: After a stop signal.
    """
    left = _left(jobs)
    shares, takes_part = _shares(left, processes) if left else ([], True)
    with started_children(WORKER, shares, own_session=True) as workers:
        with quick_imports():  # while the workers do the same
            from gaplab.sweeps.train_work import run_many

        plans = _plan(jobs)
        waiting = [plan for plan in plans.values() if not plan.finished]
        trainer = jobs[0].composed.config.trainer
        shown = trainer.progress_bar and sys.stderr.isatty()
        work = sum(plan.last_step for plan in waiting)
        with SweepProgress(len(waiting), work, shown) as progress:
            objectives = run_many(
                list(plans.values()),
                max_models=max_models,
                compile=compile,
                workers=workers,
                takes_part=takes_part,
                report=progress.report,
                log=progress.bar.console.print,
            )
    found = dict(zip(plans, objectives, strict=True))
    return [found[job.path] for job in jobs]


def train_in_pool(jobs: Sequence[SweepJob], number: int | None, logs: Path) -> list[float]:
    """Train the jobs of a sweep in processes, each of which does one at a time; return their objectives.

    Args:
        jobs: Configurations and directories.
        number: Processes; None for as many as the machine has parts.
        logs: Folder of what the jobs say.

    Raises:
        ConfigError: If a directory holds another run.
        Preempted: After a stop signal.
    """
    left = _left(jobs)
    shares = pool_shares(jobs[0], number)[: len(left)]
    with started_children(WORKER, shares, own_session=True) as workers:
        with quick_imports():
            from gaplab.sweeps.train_work import run_each

        plans = _plan(jobs)
        objectives = run_each(list(plans.values()), workers, logs)
    found = dict(zip(plans, objectives, strict=True))
    return [found[job.path] for job in jobs]


def _left(jobs: Sequence[SweepJob]) -> list[SweepJob]:
    return [job for job in jobs if not (job.path / "result.json").is_file()]


def _plan(jobs: Sequence[SweepJob]) -> dict[Path, "Plan"]:
    """Plan all jobs by their directories, and say how many are finished."""
    from gaplab.runs.resume import plan_new
    from gaplab.storage.locking import unlock

    plans: dict[Path, Plan] = {}
    for job in jobs:
        plans[job.path] = replace(plan_new(job.composed, job.path), until=job.until)
        unlock(job.path)  # a lock is an open file, of which a process may hold a thousand or so
    finished = sum(plan.finished for plan in plans.values())
    if finished:
        print(f"{finished} of {len(plans)} runs are finished already.")
    return plans


def pool_shares(job: SweepJob, number: int | None) -> list[Share]:
    """Cut the machine into parts, one for each job that runs at the same time."""
    gpus = gpu_shares(number, job.composed.config.trainer.accelerator)
    return gpus or cpu_shares(number or max(1, len(own_cpus()) // job.processes_per_node))


def _shares(jobs: Sequence[SweepJob], processes: int | None) -> tuple[list[Share], bool]:
    """Return the shares of the processes to start, and whether this one does a part of the work as well.

    It does on CPUs. A process that uses GPUs sees only its own, which has to be settled when it starts.
    """
    configs = [job.composed.config for job in jobs]
    accelerator = configs[0].trainer.accelerator
    if accelerator is not Accelerator.cpu:
        with quick_imports():  # only Torch knows GPUs, where there may be any
            shares, others = gpu_shares(processes, accelerator, together=True), has_mps()
        if len(shares) > 1:
            return shares, False
        if shares or others or accelerator is not Accelerator.auto:
            return [], True
    part = (jobs[0].until or configs[0].num_steps) / configs[0].num_steps
    count = processes or worthwhile_processes(configs, len(own_cpus()), part)
    return cpu_shares(count)[1:], True
