"""Which of the runs in a sweep's folder are the sweep's own; others stay from a time when it had other values."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from gaplab.storage.atomic import write_json

JOBS = "sweep.json"


def write_jobs(folder: Path, names: Sequence[str], *, more: bool) -> None:
    """Record the names of the jobs of a sweep; with ``more`` they come on top of those that are recorded."""
    known = (read_jobs(folder) or []) if more else []
    write_json(folder / JOBS, {"jobs": list(dict.fromkeys([*known, *names]))})


def read_jobs(folder: Path) -> list[str] | None:
    """Return the names of a sweep's jobs; None where they are not recorded."""
    try:
        names = json.loads((folder / JOBS).read_text())["jobs"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else None


def runs_of(folder: Path) -> list[Path]:
    """Return the directories of the sweep's own runs that exist, by name; all runs where no jobs are recorded."""
    names = read_jobs(folder)
    own = None if names is None else set(names)
    with os.scandir(folder) as entries:
        there = sorted(entry.name for entry in entries if own is None or entry.name in own)
    return [folder / name for name in there if os.path.exists(f"{folder}/{name}/run.json")]
