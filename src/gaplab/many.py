"""Many runs: groups of equal shape are trained as stacked models, chunk after chunk; the rest one by one."""

import math
import os
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

from gaplab.callbacks.sweep_progress import SweepProgress
from gaplab.chunk import Chunk, Report
from gaplab.config.checks import ConfigError
from gaplab.config.compose import Composed
from gaplab.config.generation import GenerationConfig
from gaplab.config.schema import Config
from gaplab.ensembles.compilation import has_compiler, pays, pays_for_gans
from gaplab.ensembles.grouping import group_key, obstacle
from gaplab.runs.checkpoints import read_checkpoint
from gaplab.runs.directory import read_json
from gaplab.runs.locking import unlock
from gaplab.runs.opening import Plan, plan_new
from gaplab.study import run_planned

DEFAULT_WIDTH = {"cpu": 64, "cuda": 1_024}
"""Models of a chunk: as many as the cache of a CPU holds, or as a GPU needs to be busy."""
Say = Callable[[str], None]


@dataclass(slots=True)
class Job:
    """One plan and where its objective goes."""

    number: int
    plan: Plan
    step: int = 0
    """Steps that an earlier attempt has taken."""


def run_many(
    plans: Sequence[Plan],
    *,
    max_models: int | None = None,
    compile: bool | None = None,
    report: Report | None = None,
    say: Say = print,
) -> list[float]:
    """Do what is left of all plans; return their objectives, NaN for a run that failed or diverged.

    Every plan leaves an ordinary run directory. A run that fails does not stop the others.

    Args:
        plans: Runs in directories of their own.
        max_models: Most models of a chunk; None: what suits the device and fits into memory.
        compile: Whether to compile the training step; None: where that saves time.
        report: Told how many model-steps were taken and how many runs of the chunk diverged.
        say: Where sentences for the user go.

    Raises:
        ConfigError: If the memory does not hold a single model.
        KeyboardInterrupt: After Ctrl-C; finished runs stay, the others are saved and marked.
    """
    objectives = [math.nan] * len(plans)
    groups, alone = sort_plans(plans, objectives)
    for jobs in groups:
        width = chunk_width(jobs[0].plan.composed.config, max_models)
        kernels = None
        compiles = worth_compiling(jobs) if compile is None else compile
        for begin in range(0, len(jobs), width):
            part = jobs[begin : begin + width]
            try:
                chunk = Chunk(
                    [job.plan for job in part], width=width, compile=compiles, kernels=kernels, report=report
                )
                results = chunk.train()
            except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
                if isinstance(error, ConfigError):
                    raise
                alone[f"stacked training failed: {_first_line(error)}"] += part
                continue
            kernels = chunk.ensemble.kernels
            for job, result in zip(part, results, strict=True):
                objectives[job.number] = math.nan if result is None else result.objective
    for reason, jobs in alone.items():
        say(f"Training {len(jobs)} of {len(plans)} runs one by one: {reason}.")
        for job in jobs:
            objectives[job.number] = run_alone(job.plan)
    return objectives


def train_sweep(
    jobs: Sequence[tuple[Composed, Path]],
    *,
    max_models: int | None = None,
    compile: bool | None = None,
) -> list[float]:
    """Train the jobs of a sweep, each in its directory, under one progress bar; return their objectives.

    A job that is repeated, as a random sweeper may do, is trained once.

    Raises:
        ConfigError: If a directory holds another run, or the memory does not hold one model.
    """
    plans = {path: plan_new(composed, path) for composed, path in jobs}
    waiting = [plan for plan in plans.values() if not plan.finished]
    if len(waiting) < len(plans):
        print(f"{len(plans) - len(waiting)} of {len(plans)} runs are finished already.")
    shown = jobs[0][0].config.trainer.progress_bar and sys.stderr.isatty()
    work = sum(plan.composed.config.num_steps for plan in waiting)
    with SweepProgress(len(waiting), work, shown) as progress:
        objectives = run_many(
            list(plans.values()),
            max_models=max_models,
            compile=compile,
            report=progress.report,
            say=progress.bar.console.print,
        )
    found = dict(zip(plans, objectives, strict=True))
    return [found[path] for _, path in jobs]


def sort_plans(
    plans: Sequence[Plan], objectives: list[float]
) -> tuple[list[list[Job]], dict[str, list[Job]]]:
    """Return the groups that train together, and the jobs that train alone by the reason for it.

    The objectives of finished plans are filled in.
    """
    groups: dict[Hashable, list[Job]] = defaultdict(list)
    alone: dict[str, list[Job]] = defaultdict(list)
    for number, plan in enumerate(plans):
        config = plan.composed.config
        if plan.finished:
            unlock(plan.path)
            objectives[number] = float(read_json(plan.path / "result.json")["objective"])
        elif reason := obstacle(config):
            alone[reason].append(Job(number, plan))
        else:
            step = 0 if plan.checkpoint is None else int(read_checkpoint(plan.checkpoint)["global_step"])
            groups[group_key(config), step].append(Job(number, plan, step))
    return list(groups.values()), alone


def chunk_width(config: Config, max_models: int | None) -> int:
    """Return how many models of a configuration to stack.

    Raises:
        ConfigError: If the memory does not hold one.
    """
    device = device_of(config)
    fits = int(0.5 * free_memory(device) / model_bytes(config))
    if fits < 1:
        raise ConfigError(
            f"data.num_test_points: expected runs that fit into memory, but one model needs "
            f"{model_bytes(config) / 2**30:.1f} GiB. Lower it, or data.num_points or network.widths."
        )
    return min(max_models or DEFAULT_WIDTH[device], fits)


def device_of(config: Config) -> str:
    """Return the kind of device that a run trains on."""
    return "cuda" if torch.cuda.is_available() and str(config.trainer.accelerator) != "cpu" else "cpu"


def worth_compiling(jobs: Sequence[Job]) -> bool:
    """Whether a group of runs is so much work that compiling its step saves time, and a compiler is there."""
    config = jobs[0].plan.composed.config
    data, steps = config.data, config.num_steps - jobs[0].step
    if not has_compiler(torch.device(device_of(config))):
        return False
    if isinstance(config.task, GenerationConfig):
        return pays_for_gans(len(jobs) * steps, data.points_per_step)
    points = data.num_points + data.num_val_points + data.num_test_points
    scored = points * -(-steps // config.steps_between_evaluations)
    return pays(len(jobs) * steps, len(jobs) * scored)


def model_bytes(config: Config) -> int:
    """Estimate the memory of one stacked model: its points twice, weights with moments, activations."""
    scalar = 8 if config.trainer.precision == "64-true" else 4
    data = config.data
    num_points = data.num_points + data.num_val_points + data.num_test_points
    points = 2 * num_points * (scalar * (2 + data.noise_dimensions) + 9)
    task, at_once = config.task, max(data.points_per_step, 2_048)
    networks = [config.network]
    if isinstance(task, GenerationConfig):
        # A step keeps the activations of real and generated points, their gradients, and those of gradients.
        networks, at_once = [task.generator, task.discriminator], 4 * data.points_per_step
    total = points
    for network in networks:
        widths = [2 + data.noise_dimensions, *getattr(network, "widths", [100]), 10]
        parameters = sum(a * b + b for a, b in pairwise(widths))
        total += scalar * (8 * parameters + 4 * sum(widths) * at_once)
    return total


def free_memory(device: str) -> int:
    """Return the bytes that a device has left; all of its memory where the system does not tell."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    facts = Path("/proc/meminfo")
    if facts.is_file():
        lines = dict(line.split(":", 1) for line in facts.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1_024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def run_alone(plan: Plan) -> float:
    """Train one run by itself; a failure is shown and recorded, and gives NaN."""
    try:
        return run_planned(plan)
    except Exception:  # its run.json says what happened
        traceback.print_exc()
        return math.nan


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
