"""Which jobs an array task does."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

from gaplab.sweeps.job import SweepJob


def pack(jobs: Sequence[SweepJob], most: int, *, by_group: bool) -> list[list[SweepJob]]:
    """Pack jobs into tasks of at most ``most``.

    Args:
        jobs: Any jobs.
        most: Most jobs of a task.
        by_group: Keep jobs together that can be stacked: a task holds jobs of several groups only where
            each of these has too few to fill a task.
    """
    if not by_group:
        return [list(jobs[i : i + most]) for i in range(0, len(jobs), most)]
    from gaplab.sweeps.grouping import group_key, obstacle

    groups: dict[Hashable, list[SweepJob]] = defaultdict(list)
    for job in jobs:
        config = job.composed.config
        groups[obstacle(config) or group_key(config)].append(job)
    tasks: list[list[SweepJob]] = []
    rests: list[list[SweepJob]] = []
    for group in groups.values():
        full = len(group) - len(group) % most
        tasks += [group[i : i + most] for i in range(0, full, most)]
        if full < len(group):
            rests.append(group[full:])
    return tasks + _filled(rests, most)


def _filled(rests: Sequence[list[SweepJob]], most: int) -> list[list[SweepJob]]:
    """Put groups, the largest first, into the first task that has room for all of it."""
    tasks: list[list[SweepJob]] = []
    for rest in sorted(rests, key=len, reverse=True):
        roomy = next((task for task in tasks if len(task) + len(rest) <= most), None)
        if roomy is None:
            tasks.append([*rest])
        else:
            roomy += rest
    return tasks
