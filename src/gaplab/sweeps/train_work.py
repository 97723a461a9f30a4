"""Many runs: groups of equal shape are trained as stacked models, chunk after chunk; the rest one by one."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from gaplab.config.compose import Composed
from gaplab.errors import Preempted
from gaplab.process.children import Child
from gaplab.process.exits import tell_failure
from gaplab.process.memory import release_memory
from gaplab.process.signals import STOP_SIGNAL, stop_signals_caught
from gaplab.runs.results import Result
from gaplab.runs.resume import Plan, plan_again
from gaplab.stacked.compile import load_compiler
from gaplab.stacked.ensemble import CompiledFunctions
from gaplab.stacked.stacked_runs import MembersFailedError, Report, StackedRuns
from gaplab.storage.locking import unlock
from gaplab.sweeps.run_job import record_failure, run_job, status
from gaplab.sweeps.schedule import (
    Log,
    WorkItem,
    cut_alone,
    cut_groups,
    cut_single,
    objective_of_finished,
    sort_plans,
)
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
            place = "" if ending in ("finished", "pruned") else f"; see {item.output}"
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
    work = partial(train_item, compiled={}, report=report)
    return WorkerPool(workers, report, log).answers(queue, work if takes_part else None)


def train_item(item: WorkItem, compiled: CompiledByGroup, report: Report | None) -> Answer:
    """Train an item in this process; return its objectives, or why its models cannot be stacked.

    Its runs are planned anew, which locks those that were begun before: until their turn comes nobody holds them.
    A run that cannot be planned or built has failed, and the others go on.

    Args:
        item: What to train.
        compiled: Those of earlier items; added to.
        report: Told about the progress.

    Raises:
        Preempted: After a stop signal, also one that came before.
    """
    if STOP_SIGNAL.number:
        raise Preempted(STOP_SIGNAL.number)
    if item.compile:
        load_compiler()
    jobs = [(job.plan.composed, job.plan.path) for job in item.jobs]
    if item.alone:
        return [run_job(partial(plan_again, job.plan), job.plan.composed, job.plan.path) for job in item.jobs]
    objectives = [math.nan] * len(jobs)
    plans: dict[int, Plan] = {}
    for place, job in enumerate(jobs):
        try:
            plan = plan_again(item.jobs[place].plan)
        except Exception as error:
            _leave_failed(*job, error)
            continue
        if plan.finished:  # by another process, since the sweep began
            objectives[place] = objective_of_finished(plan)
        else:
            plans[place] = plan
    try:
        results = _train_stacked(item, plans, compiled, report)
    except Exception as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    finally:
        for _, path in jobs:
            unlock(path)
        release_memory()
    for place, result in results.items():
        objectives[place] = math.nan if result is None else result.objective
    return objectives


def _train_stacked(
    item: WorkItem, plans: dict[int, Plan], compiled: CompiledByGroup, report: Report | None
) -> dict[int, Result | None]:
    """Train the runs of an item as stacked models, without those that cannot be built; return results by place."""
    key = (item.group, item.width)
    while plans:
        try:
            chunk = StackedRuns(
                list(plans.values()),
                width=item.width,
                compile=item.compile,
                compiled=compiled.get(key),
                report=report,
            )
        except MembersFailedError as failed:
            places = list(plans)
            for number, error in failed.errors.items():
                plan = plans.pop(places[number])
                _leave_failed(plan.composed, plan.path, error)
            continue
        results = chunk.train()
        if chunk.ensemble.compiled is not None:
            compiled[key] = chunk.ensemble.compiled
        return dict(zip(plans, results, strict=True))
    return {}


def _leave_failed(composed: Composed, path: Path, error: Exception) -> None:
    tell_failure(path.name, error)
    record_failure(composed, path, f"{type(error).__name__}: {error}")
