"""How the runs of a sweep are put into groups and cut into items that a process trains at once."""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gaplab.config.schema import Config
from gaplab.errors import ConfigError
from gaplab.process.open_files import most_locks
from gaplab.runs.checkpoints import read_checkpoint
from gaplab.runs.results import read_objective
from gaplab.runs.resume import Plan
from gaplab.stacked.compile import has_compiler
from gaplab.storage.locking import unlock
from gaplab.sweeps.cost_model import device_of, free_memory, model_bytes, readable_bytes
from gaplab.sweeps.grouping import group_key, obstacle

DEFAULT_WIDTH = {"cpu": 128, "cuda": 1_024}
"""Models of a chunk: so many that what Python does for a chunk weighs little, or as a GPU needs to be busy."""
Log = Callable[[str], None]


@dataclass(slots=True)
class PlannedRun:
    """One plan and where its objective goes."""

    number: int
    plan: Plan
    step: int = 0
    """Steps that an earlier attempt has taken."""

    @property
    def work(self) -> int:
        """Steps that are left."""
        return self.plan.last_step - self.step


@dataclass(slots=True, kw_only=True)
class WorkItem:
    """Runs that a process trains at once: a chunk of a group, or a single run."""

    jobs: list[PlannedRun]
    group: int = 0
    """Items of a group can share what was compiled."""
    width: int = 1
    """Models to compute with; at least the number of jobs."""
    compile: bool = False
    alone: bool = False
    output: Path | None = None
    """File for what its process says meanwhile, which goes on with a fresh process if the run fails."""

    @property
    def work(self) -> int:
        return sum(job.work for job in self.jobs)


def sort_plans(
    plans: Sequence[Plan], objectives: list[float]
) -> tuple[list[list[PlannedRun]], dict[str, list[PlannedRun]]]:
    """Return the groups that train together, and the jobs that train alone by the reason for it.

    The objectives of finished plans are filled in.
    """
    groups: dict[Hashable, list[PlannedRun]] = defaultdict(list)
    alone: dict[str, list[PlannedRun]] = defaultdict(list)
    for number, plan in enumerate(plans):
        config = plan.composed.config
        if plan.finished:
            objectives[number] = objective_of_finished(plan)
        elif reason := obstacle(config):
            alone[reason].append(PlannedRun(number, plan))
        else:
            step = 0 if plan.checkpoint is None else int(read_checkpoint(plan.checkpoint)["global_step"])
            groups[group_key(config), step].append(PlannedRun(number, plan, step))
    together = []
    for jobs in groups.values():
        reason = jobs[0].plan.composed.config.task.why_alone if len(jobs) == 1 else None
        if reason is None:
            together.append(jobs)
        else:
            alone[reason] += jobs
    return together, alone


def cut_groups(
    groups: Sequence[Sequence[PlannedRun]],
    *,
    max_models: int | None = None,
    compile: bool | None = None,
    processes: int = 1,
    log: Log = print,
) -> list[WorkItem]:
    """Cut groups into chunks for some processes, and say what there is.

    Args:
        groups: Jobs whose tensors have equal shapes.
        max_models: Most models of a chunk; None: what suits the device.
        compile: Whether to compile; None: where that saves time.
        processes: Those that share the memory and the work.
        log: Where a sentence for every group goes.

    Raises:
        ConfigError: If the memory does not hold one model for each process.
    """
    items: list[WorkItem] = []
    work = sum(job.work for group in groups for job in group)
    for number, jobs in enumerate(groups):
        config = jobs[0].plan.composed.config
        limit = chunk_width(config, max_models, processes)
        share = processes * sum(job.work for job in jobs) / max(work, 1)
        count = num_chunks(len(jobs), limit, max(1, math.ceil(share - 1e-9)))
        width = -(-len(jobs) // count)
        compiles = worth_compiling(jobs) if compile is None else compile
        for begin in range(0, len(jobs), width):
            part = list(jobs[begin : begin + width])
            items.append(WorkItem(jobs=part, group=number, width=width, compile=compiles))
        log(
            f"Group {number + 1} of {len(groups)}: {len(jobs)} models in chunks of {width}, about "
            f"{readable_bytes(model_bytes(config))} each and {readable_bytes(width * model_bytes(config))} a chunk"
            f"{', compiled' if compiles else ''}."
        )
    return items


def cut_alone(alone: Mapping[str, Sequence[PlannedRun]], num_runs: int, log: Log = print) -> list[WorkItem]:
    """Return an item for every run that trains by itself, and say why they do."""
    for reason, jobs in alone.items():
        log(f"Training {len(jobs)} of {num_runs} runs one by one: {reason}.")
    return [WorkItem(jobs=[job], alone=True) for jobs in alone.values() for job in jobs]


def cut_single(plans: Sequence[Plan], objectives: list[float], logs: Path) -> list[WorkItem]:
    """Return an item for every plan that is not finished; the objectives of the others are filled in."""
    items = []
    for number, plan in enumerate(plans):
        if plan.finished:
            objectives[number] = objective_of_finished(plan)
        else:
            items.append(WorkItem(jobs=[PlannedRun(number, plan)], alone=True, output=logs / f"{number}.txt"))
    return items


def objective_of_finished(plan: Plan) -> float:
    """Let go of a finished run; return its objective."""
    unlock(plan.path)
    return read_objective(plan.path)


def num_chunks(num_models: int, limit: int, processes: int) -> int:
    """Return into how many chunks of at most ``limit`` models to cut a group for some processes.

    >>> num_chunks(130, 64, 1), num_chunks(130, 64, 2), num_chunks(3, 64, 8)
    (3, 4, 3)
    """
    return min(num_models, -(-math.ceil(num_models / limit) // processes) * processes)


def chunk_width(config: Config, max_models: int | None, processes: int = 1) -> int:
    """Return how many models of a configuration each of some processes may stack: what memory and open files allow.

    Raises:
        ConfigError: If the memory does not hold one.
    """
    device = device_of(config)
    fits = int(0.5 * free_memory(device) / processes_per_device(device, processes) / model_bytes(config))
    if fits < 1:
        raise ConfigError(
            f"data.num_test_points: expected runs that fit into memory, but one model needs "
            f"{readable_bytes(model_bytes(config))}. Lower it, or data.num_points or network.widths."
        )
    return min(max_models or DEFAULT_WIDTH[device], fits, most_locks())


def processes_per_device(device: str, processes: int) -> int:
    """Return how many of some processes share a memory."""
    return processes if device == "cpu" else -(-processes // max(1, torch.cuda.device_count()))


def worth_compiling(jobs: Sequence[PlannedRun]) -> bool:
    """Whether a group of runs is so much work that compiling its step saves time, and a compiler is there."""
    config = jobs[0].plan.composed.config
    data, steps = config.data, jobs[0].work
    if not has_compiler(torch.device(device_of(config))):
        return False
    if isinstance(config.trainer.compile, bool):
        return config.trainer.compile
    if config.task.compiling is None:
        return False
    points = sum(map(data.size_of, ("train", "val", "test")))
    scored = points * len(config.evaluation_steps)
    return config.task.compiling.pays(len(jobs) * steps, len(jobs) * scored)
