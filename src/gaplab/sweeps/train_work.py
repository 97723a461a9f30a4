"""Many runs: groups of equal shape are trained as stacked models, chunk after chunk; the rest one by one."""

import math
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial

from gaplab.errors import ConfigError, Preempted
from gaplab.launch.processes import run_with_all_processes
from gaplab.process.signals import NOTED, signals_noted
from gaplab.runs.resume import Plan, plan_new
from gaplab.stacked.ensemble import Kernels
from gaplab.stacked.stacked_runs import Chunk, Report
from gaplab.sweeps.schedule import Portion, Say, cut_alone, cut_groups, sort_plans
from gaplab.sweeps.start_workers import Workers
from gaplab.sweeps.worker_pool import Answer, Crew

KernelsOfGroups = dict[tuple[int, int], Kernels]
"""What a process has compiled, by group and width."""


def run_many(
    plans: Sequence[Plan],
    *,
    max_models: int | None = None,
    compile: bool | None = None,
    workers: Workers | None = None,
    takes_part: bool = True,
    report: Report | None = None,
    say: Say = print,
) -> list[float]:
    """Do what is left of all plans; return their objectives, NaN for a run that failed or diverged.

    Every plan leaves an ordinary run directory. A run that fails does not stop the others.

    Args:
        plans: Runs in directories of their own.
        max_models: Most models of a chunk; None: what suits the device and fits into memory.
        compile: Whether to compile the training step; None: where that saves time.
        workers: Processes that share the work.
        takes_part: Whether this process does a part of it beside them.
        report: Told how many model-steps were taken and how many runs diverged.
        say: Where sentences for the user go.

    Raises:
        ConfigError: If the memory does not hold a single model.
        Preempted: After a stop signal; finished runs stay, the others are saved and marked.
        KeyboardInterrupt: After the second Ctrl-C.
    """
    objectives = [math.nan] * len(plans)
    groups, alone = sort_plans(plans, objectives)
    workers = {} if workers is None else workers
    processes = max(1, len(workers) + takes_part)
    portions = cut_groups(groups, max_models=max_models, compile=compile, processes=processes, say=say)
    portions += cut_alone(alone, len(plans), say)
    queue = deque(sorted(portions, key=lambda portion: -portion.work))  # so that all end at about one time
    with signals_noted():
        answers = _shared(queue, workers, takes_part, report, say) if workers else _own(queue, report)
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


def _shared(
    queue: deque[Portion], workers: Workers, takes_part: bool, report: Report | None, say: Say
) -> Iterator[tuple[Portion, Answer]]:
    work = partial(train_handed_out, kernels={}, report=report)
    return Crew(workers, report, say).answers(queue, work if takes_part else None)


def train_handed_out(portion: Portion, kernels: KernelsOfGroups, report: Report | None) -> Answer:
    """Train a portion that another process or thread has planned: plan it anew, which locks its runs."""
    for job in portion.jobs:
        job.plan = plan_new(job.plan.composed, job.plan.path)
    return train_portion(portion, kernels, report)


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


def run_alone(plan: Plan) -> float:
    """Train one run by itself, with all its processes; a failure is shown and recorded, and gives NaN."""
    try:
        return run_with_all_processes(lambda: plan, plan.composed.config)
    except Exception:  # its run.json says what happened
        traceback.print_exc()
        return math.nan
