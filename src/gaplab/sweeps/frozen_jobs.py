"""Jobs that have to wait, in a file: later changes of ``configs/`` do not reach them.

The jobs of one file share most settings. The first is written whole, the others as what they change.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from gaplab.config.compose import Composed, merge_saved, restore, to_config
from gaplab.config.extensions import load_files
from gaplab.config.named_classes import allow
from gaplab.errors import ConfigError
from gaplab.sweeps.compose_jobs import is_single, vary
from gaplab.sweeps.job import SweepJob


def freeze(jobs: Sequence[SweepJob], file: Path) -> None:
    """Write jobs, at least one, to a JSON file."""
    base = jobs[0].composed.resolved
    flat = _flat(base)
    content = {
        "config": base,
        "varied": jobs[0].composed.varied,
        "jobs": [_difference(job, flat) for job in jobs],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def thaw(file: Path) -> list[SweepJob]:
    """Read frozen jobs.

    Raises:
        ConfigError: If the file does not hold any.
    """
    try:
        content = json.loads(file.read_text())
        base, rows = content["config"], [(row["path"], row["overrides"], row) for row in content["jobs"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{file}: expected jobs that a launcher has frozen, but: {error!r}.") from error
    load_files(base.get("extensions") or [], f"{file}, extensions")  # written by a command of the user's own
    tree = merge_saved(base, str(file))
    first = Composed(to_config(tree), base, [])
    allow(first.config.task.named_classes)
    jobs = [SweepJob(_vary(tree, first, row, words, str(file)), Path(path)) for path, words, row in rows]
    for job, (_, _, row) in zip(jobs, rows, strict=True):
        job.composed.varied, job.composed.number = content.get("varied", []), row.get("number")
    return jobs


def frozen_paths(file: Path) -> list[Path]:
    """Return the directories of frozen jobs; none where the file does not hold any."""
    try:
        return [Path(row["path"]) for row in json.loads(file.read_text())["jobs"]]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _difference(job: SweepJob, base: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"path": str(job.path.resolve()), "overrides": job.composed.overrides}
    row["number"] = job.composed.number
    own = _flat(job.composed.resolved)
    if own.keys() != base.keys():
        return row | {"config": job.composed.resolved}
    return row | {"changes": {key: value for key, value in own.items() if _differ(value, base[key])}}


def _vary(
    tree: DictConfig, first: Composed, row: Mapping[str, Any], words: list[str], where: str
) -> Composed:
    if "config" in row:
        return Composed(restore(row["config"], where), row["config"], words)
    changes = row["changes"]
    if all(is_single(tree, key) for key in changes):
        return vary(tree, first, changes, words)
    resolved = json.loads(json.dumps(first.resolved))
    for key, value in changes.items():
        section, _, field = key.rpartition(".")
        (resolved[section] if section else resolved)[field] = value
    return Composed(restore(resolved, where), resolved, words)


def _flat(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both levels of a configuration, by dotted key."""
    values: dict[str, Any] = {}
    for key, value in resolved.items():
        if isinstance(value, dict):
            values |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            values[key] = value
    return values


def _differ(left: Any, right: Any) -> bool:
    return type(left) is not type(right) or left != right
