"""Many runs: groups of equal shape are trained as stacked models, chunk after chunk; the rest one by one."""

import math
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from gaplab.callbacks.preemption import NOTED, Preempted, signals_noted
from gaplab.callbacks.sweep_progress import SweepProgress
from gaplab.chunk import Chunk, Report
from gaplab.chunking import Portion, Say, cut_alone, cut_groups, sort_plans
from gaplab.config.checks import ConfigError
from gaplab.config.compose import Composed
from gaplab.crew import Answer, Crew
from gaplab.ensembles.ensemble import Kernels
from gaplab.processes import run_with_all_processes
from gaplab.runs.locking import unlock
from gaplab.runs.opening import Plan, plan_new
from gaplab.runs.shares import Share, cpu_shares, gpu_shares

KernelsOfGroups = dict[tuple[int, int], Kernels]
"""What a process has compiled, by group and width."""


def run_many(
    plans: Sequence[Plan],
    *,
    max_models: int | None = None,
    compile: bool | None = None,
    shares: Sequence[Share] = (),
    report: Report | None = None,
    say: Say = print,
) -> list[float]:
    """Do what is left of all plans; return their objectives, NaN for a run that failed or diverged.

    Every plan leaves an ordinary run directory. A run that fails does not stop the others.

    Args:
        plans: Runs in directories of their own.
        max_models: Most models of a chunk; None: what suits the device and fits into memory.
        compile: Whether to compile the training step; None: where that saves time.
        shares: Parts of the machine for processes that share the work; fewer than two: this process does it.
        report: Told how many model-steps were taken and how many runs diverged.
        say: Where sentences for the user go.

    Raises:
        ConfigError: If the memory does not hold a single model.
        Preempted: After a stop signal; finished runs stay, the others are saved and marked.
        KeyboardInterrupt: After the second Ctrl-C.
    """
    objectives = [math.nan] * len(plans)
    groups, alone = sort_plans(plans, objectives)
    portions = cut_groups(
        groups, max_models=max_models, compile=compile, processes=max(1, len(shares)), say=say
    )
    portions += cut_alone(alone, len(plans), say)
    queue = deque(sorted(portions, key=lambda portion: -portion.work))  # so that all end at about one time
    with signals_noted():
        several = len(shares) > 1 and len(queue) > 1
        answers = Crew(shares[: len(queue)], report, say).answers(queue) if several else _own(queue, report)
        for portion, answer in answers:
            if isinstance(answer, str):
                failed = {f"stacked training failed: {answer}": portion.jobs}
                queue.extend(cut_alone(failed, len(plans), say))
                continue
            for job, objective in zip(portion.jobs, answer, strict=True):
                objectives[job.number] = objective
    return objectives


def _own(queue: deque[Portion], report: Report | None) -> Iterator[tuple[Portion, Answer]]:
    kernels: KernelsOfGroups = {}
    while queue:
        portion = queue.popleft()
        yield portion, train_portion(portion, kernels, report)


def train_portion(portion: Portion, kernels: KernelsOfGroups, report: Report | None) -> Answer:
    """Train a portion in this process; return its objectives, or why its models cannot be stacked.

    Args:
        portion: What to train.
        kernels: Those of earlier portions; added to.
        report: Told about the progress.

    Raises:
        ConfigError: For a mistake of the user's that shows only now.
        Preempted: After a stop signal, also one that came before.
    """
    if NOTED.number:
        raise Preempted(NOTED.number)
    plans = [job.plan for job in portion.jobs]
    if portion.alone:
        return [run_alone(plan) for plan in plans]
    place = (portion.group, portion.width)
    try:
        chunk = Chunk(
            plans,
            width=portion.width,
            compile=portion.compile,
            kernels=kernels.get(place),
            report=report,
        )
        results = chunk.train()
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        if isinstance(error, ConfigError):
            raise
        return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if chunk.ensemble.kernels is not None:
        kernels[place] = chunk.ensemble.kernels
    return [math.nan if result is None else result.objective for result in results]


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
        processes: Processes that share the work; None for one a GPU, and at least one.

    Raises:
        ConfigError: If a directory holds another run, or the memory does not hold one model.
        Preempted: After a stop signal.
    """
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
    shares = gpu_shares(processes, trainer.accelerator, together=True) or cpu_shares(processes or 1)
    with SweepProgress(len(waiting), work, shown) as progress:
        objectives = run_many(
            list(plans.values()),
            max_models=max_models,
            compile=compile,
            shares=shares,
            report=progress.report,
            say=progress.bar.console.print,
        )
    found = dict(zip(plans, objectives, strict=True))
    return [found[path] for _, path in jobs]


def run_alone(plan: Plan) -> float:
    """Train one run by itself, with all its processes; a failure is shown and recorded, and gives NaN."""
    try:
        return run_with_all_processes(lambda: plan, plan.composed.config)
    except Exception:  # its run.json says what happened
        traceback.print_exc()
        return math.nan
