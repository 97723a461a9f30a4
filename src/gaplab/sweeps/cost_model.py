"""What training a run costs: seconds of one core, bytes of memory, and what follows for a sweep."""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from gaplab.config.schema import Config
from gaplab.sweeps.grouping import obstacle

START_SECONDS = 8.0
"""Seconds of one core that another process should save, so that loading and compiling once more pays."""
STEP_SECONDS = 1e-5
"""A compiled model-step of a classifier."""
POINT_SECONDS, RUN_SECONDS = 2e-8, 2e-2
"""Scoring one point, and drawing the points and writing the files of a run."""
SMALL_NETWORK = 600
"""Parameters of the network that these were measured with."""


def worthwhile_processes(configs: Sequence[Config], cpus: int, part: float = 1.0) -> int:
    """Return by how many processes a part of the runs of a sweep is done soonest on some processors.

    Only runs that are stacked count: others may start processes of their own.
    """
    stacked = [config for config in configs if obstacle(config) is None]
    work = part * sum(map(estimated_seconds, stacked)) if len(stacked) == len(configs) else 0.0
    threads = max((config.trainer.num_threads or cpus) for config in configs)
    return max(1, min(cpus // threads, 1 + int(work / START_SECONDS)))


def estimated_seconds(config: Config) -> float:
    """Return roughly how long one core has to do with a run that is stacked with others."""
    data, steps = config.data, config.num_steps
    if config.task.seconds_per_step is not None:
        return RUN_SECONDS + config.task.seconds_per_step * steps
    widths = [2, *getattr(config.network, "widths", [100]), 3]
    size = max(1.0, sum(a * b for a, b in pairwise(widths)) / SMALL_NETWORK)
    points = sum(map(data.size_of, ("train", "val", "test")))
    scored = points * len(config.evaluation_steps)
    return RUN_SECONDS + size * (STEP_SECONDS * steps + POINT_SECONDS * scored)


def device_of(config: Config) -> str:
    """Return the kind of device that a run trains on."""
    import torch

    return "cuda" if torch.cuda.is_available() and str(config.trainer.accelerator) != "cpu" else "cpu"


def model_bytes(config: Config) -> int:
    """Estimate the memory of one stacked model: its points twice, weights with moments, activations."""
    scalar = 8 if config.trainer.precision == "64-true" else 4
    data = config.data
    num_points = sum(map(data.size_of, ("train", "val", "test")))
    points = 2 * num_points * (scalar * (2 + data.noise_dimensions) + 9)
    networks, at_once = config.task.networks_of(config)
    total = points
    for network in networks:
        widths = [2 + data.noise_dimensions, *getattr(network, "widths", [100]), 10]
        parameters = sum(a * b + b for a, b in pairwise(widths))
        total += scalar * (8 * parameters + 4 * sum(widths) * at_once)
    return total


def free_memory(device: str) -> int:
    """Return the bytes that a device has left; all of its memory where the system does not tell."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0]
    facts = Path("/proc/meminfo")
    if facts.is_file():
        lines = dict(line.split(":", 1) for line in facts.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1_024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def readable_bytes(number: int) -> str:
    """Return a size with its unit.

    >>> readable_bytes(3 * 2**29), readable_bytes(5_000_000)
    ('1.5 GiB', '4.8 MiB')
    """
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.1f} MiB"
