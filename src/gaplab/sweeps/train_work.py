"""Many runs: groups of equal shape are trained as stacked models, chunk after chunk; the rest one by one."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from gaplab.errors import ConfigError, Preempted
from gaplab.process.children import Child
from gaplab.process.signals import STOP_SIGNAL, stop_signals_caught
from gaplab.runs.resume import Plan, plan_new
from gaplab.stacked.ensemble import CompiledFunctions
from gaplab.stacked.stacked_runs import Report, StackedRuns
from gaplab.sweeps.run_job import run_job, status
from gaplab.sweeps.schedule import Log, WorkItem, cut_alone, cut_groups, cut_single, sort_plans
from gaplab.sweeps.worker_pool import Answer, WorkerPool

CompiledByGroup = dict[tuple[int, int], CompiledFunctions]
"""What a process has compiled, by group and width."""


def run_many(
    plans: Sequence[Plan],
    *,
    max_models: int | None = None,
    compile: bool | None = None,
    workers: Sequence[Child] = (),
    takes_part: bool = True,
    report: Report | None = None,
    log: Log = print,
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
        log: Where sentences for the user go.

    Raises:
        ConfigError: If the memory does not hold a single model.
        Preempted: After a stop signal; finished runs stay, the others are saved and marked.
        KeyboardInterrupt: After the second Ctrl-C.
    """
    objectives = [math.nan] * len(plans)
    groups, alone = sort_plans(plans, objectives)
    processes = max(1, len(workers) + takes_part)
    items = cut_groups(groups, max_models=max_models, compile=compile, processes=processes, log=log)
    items += cut_alone(alone, len(plans), log)
    queue = deque(sorted(items, key=lambda item: -item.work))  # so that all end at about one time
    with stop_signals_caught():
        answers = _shared(queue, workers, takes_part, report, log) if workers else _own(queue, report)
        for item, answer in answers:
            if isinstance(answer, str):
                failed = {f"stacked training failed: {answer}": item.jobs}
                queue.extend(cut_alone(failed, len(plans), log))
                continue
            for job, objective in zip(item.jobs, answer, strict=True):
                objectives[job.number] = objective
    return objectives


def run_each(plans: Sequence[Plan], workers: Sequence[Child], logs: Path, log: Log = print) -> list[float]:
    """Do what is left of all plans, each in a worker by itself; return their objectives.

    Args:
        plans: As for ``run_many``.
        workers: At least one, if anything is left to do; each does a run at a time.
        logs: Folder of what the runs say: ``<number>.txt``.
        log: Where a sentence for every run goes.

    Raises:
        Preempted: After a stop signal.
    """
    objectives = [math.nan] * len(plans)
    queue = deque(sorted(cut_single(plans, objectives, logs), key=lambda item: -item.work))
    with stop_signals_caught():
        for item, answer in WorkerPool(workers, None, log).answers(queue):
            assert not isinstance(answer, str), "a single run is not stacked"
            (job,), (objectives[item.jobs[0].number],) = item.jobs, answer
            ending = status(job.plan.path)
            place = "" if ending == "finished" else f"; see {item.output}"
            log(f"#{job.number} {job.plan.path.name}: {ending}{place}")
    return objectives


def _own(queue: deque[WorkItem], report: Report | None) -> Iterator[tuple[WorkItem, Answer]]:
    compiled: CompiledByGroup = {}
    while queue:
        item = queue.popleft()
        yield item, train_item(item, compiled, report)


def _shared(
    queue: deque[WorkItem], workers: Sequence[Child], takes_part: bool, report: Report | None, log: Log
) -> Iterator[tuple[WorkItem, Answer]]:
    work = partial(train_handed_out, compiled={}, report=report)
    return WorkerPool(workers, report, log).answers(queue, work if takes_part else None)


def train_handed_out(item: WorkItem, compiled: CompiledByGroup, report: Report | None) -> Answer:
    """Train an item that another process or thread has planned: plan it anew, which locks its runs."""
    for job in item.jobs:
        job.plan = plan_new(job.plan.composed, job.plan.path)
    return train_item(item, compiled, report)


def train_item(item: WorkItem, compiled: CompiledByGroup, report: Report | None) -> Answer:
    """Train an item in this process; return its objectives, or why its models cannot be stacked.

    Args:
        item: What to train.
        compiled: Those of earlier items; added to.
        report: Told about the progress.

    Raises:
        ConfigError: For a mistake of the user's that shows only now.
        Preempted: After a stop signal, also one that came before.
    """
    if STOP_SIGNAL.number:
        raise Preempted(STOP_SIGNAL.number)
    plans = [job.plan for job in item.jobs]
    if item.alone:
        return [run_job(partial(_planned, plan), plan.composed, plan.path) for plan in plans]
    place = (item.group, item.width)
    try:
        chunk = StackedRuns(
            plans,
            width=item.width,
            compile=item.compile,
            compiled=compiled.get(place),
            report=report,
        )
        results = chunk.train()
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        if isinstance(error, ConfigError):
            raise
        return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if chunk.ensemble.compiled is not None:
        compiled[place] = chunk.ensemble.compiled
    return [math.nan if result is None else result.objective for result in results]


def _planned(plan: Plan) -> Plan:
    return plan
