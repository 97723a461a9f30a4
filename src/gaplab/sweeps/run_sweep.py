"""A whole sweep: its processes, its plans, its progress bar."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gaplab.config.compose import Composed
from gaplab.config.schema import Config
from gaplab.config.trainer import Accelerator
from gaplab.process.devices import Share, cpu_shares, gpu_shares, has_mps, own_cpus
from gaplab.process.fast_imports import quick_imports
from gaplab.sweeps.cost_model import worthwhile_processes
from gaplab.sweeps.progress import SweepProgress
from gaplab.sweeps.start_workers import started_workers

if TYPE_CHECKING:
    from gaplab.runs.resume import Plan


def train_sweep(
    jobs: Sequence[tuple[Composed, Path]],
    *,
    max_models: int | None = None,
    compile: bool | None = None,
    processes: int | None = None,
) -> list[float]:
    """Train the jobs of a sweep, each in its directory, under one progress bar; return their objectives.

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
    left = [composed.config for composed, path in jobs if not (path / "result.json").is_file()]
    shares, takes_part = _shares(left, processes) if left else ([], True)
    with started_workers(shares) as workers:
        with quick_imports():  # while the workers do the same
            from gaplab.runs.resume import plan_new
            from gaplab.storage.locking import unlock
            from gaplab.sweeps.train_work import run_many

        plans: dict[Path, Plan] = {}
        for composed, path in jobs:
            plans[path] = plan_new(composed, path)
            if plans[path].finished:
                unlock(path)  # a lock is an open file, of which a process may hold a thousand or so
        waiting = [plan for plan in plans.values() if not plan.finished]
        if len(waiting) < len(plans):
            print(f"{len(plans) - len(waiting)} of {len(plans)} runs are finished already.")
        trainer = jobs[0][0].config.trainer
        shown = trainer.progress_bar and sys.stderr.isatty()
        work = sum(plan.composed.config.num_steps for plan in waiting)
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
    return [found[path] for _, path in jobs]


def _shares(configs: Sequence[Config], processes: int | None) -> tuple[list[Share], bool]:
    """Return the shares of the processes to start, and whether this one does a part of the work as well.

    It does on CPUs. A process that uses GPUs sees only its own, which has to be settled when it starts.
    """
    accelerator = configs[0].trainer.accelerator
    if accelerator is not Accelerator.cpu:
        with quick_imports():  # only Torch knows the GPUs
            shares, others = gpu_shares(processes, accelerator, together=True), has_mps()
        if len(shares) > 1:
            return shares, False
        if shares or others or accelerator is not Accelerator.auto:
            return [], True
    count = processes or worthwhile_processes(configs, len(own_cpus()))
    return cpu_shares(count)[1:], True
