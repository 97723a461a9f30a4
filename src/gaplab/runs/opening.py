"""What a command finds in the directory it wants to write to, and what follows from it."""

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from gaplab.config.checks import ConfigError
from gaplab.config.compose import Composed
from gaplab.config.resumption import differences, with_overrides
from gaplab.runs.directory import RunDirectory, Status, read_config, read_json


@dataclass(slots=True)
class Plan:
    """What to do: train ``composed`` in ``path``, from ``checkpoint`` if there is one."""

    composed: Composed
    path: Path
    checkpoint: Path | None = None
    finished: bool = False
    """Nothing is left to do."""


def plan_new(composed: Composed, path: Path) -> Plan:
    """Plan a run whose directory may hold an earlier attempt at the same run.

    Raises:
        ConfigError: If the directory belongs to a live run or to a run of another configuration.
    """
    if not (path / "run.json").is_file():
        return Plan(composed, path)
    changes = differences(read_config(path), composed.resolved)
    if changes:
        shown = ", ".join(f"{c.key} ({c.old!r} there, {c.new!r} here)" for c in changes[:4])
        raise ConfigError(
            f"run.id: {path} holds a run of another configuration; they differ in {shown}. Choose another "
            f"run.id, or continue that run with resume={path}."
        )
    return _plan_continuation(composed, path)


def plan_resumption(path: Path, overrides: list[str]) -> Plan:
    """Plan to continue the run in ``path`` with changed settings.

    Raises:
        ConfigError: If there is no such run, a live process works on it, or a change is impossible.
    """
    composed = with_overrides(read_config(path), overrides, f"{path / 'config.yaml'}")
    changes = differences(read_config(path), composed.resolved)
    refused = [change for change in changes if change.effect.startswith("refused")]
    if refused:
        shown = ", ".join(f"{change.key} ({change.old!r} -> {change.new!r})" for change in refused)
        raise ConfigError(f"resume: {shown} cannot change: {refused[0].effect.removeprefix('refused: ')}.")
    plan = _plan_continuation(composed, path)
    for change in changes:
        print(f"{change.key}: {change.old!r} -> {change.new!r} ({change.effect})")
    plan.finished = plan.finished and not changes
    return plan


def _plan_continuation(composed: Composed, path: Path) -> Plan:
    record = read_json(path / "run.json")
    if record.get("status") == Status.running and _alive(record):
        raise ConfigError(
            f"{path}: a run is at work in this directory (process {record['pid']} on {record['host']}). "
            "Wait for it, stop it, or choose another run.id."
        )
    checkpoint = RunDirectory(path).last
    if not checkpoint.is_file():
        if record.get("status") == Status.finished:
            raise ConfigError(
                f"{checkpoint}: expected the last checkpoint of a finished run, but it is gone."
            )
        clear(path)
        return Plan(composed, path)
    return Plan(composed, path, checkpoint, finished=record.get("status") == Status.finished)


def clear(path: Path) -> None:
    """Remove what an attempt without a checkpoint left, so that its points do not mix with the new ones."""
    for file in path.rglob("events.out.tfevents.*"):
        file.unlink()
    shutil.rmtree(path / "figures", ignore_errors=True)


def _alive(record: dict[str, object]) -> bool:
    if record.get("host") != socket.gethostname() or record.get("pid") == os.getpid():
        return False
    try:
        os.kill(int(str(record["pid"])), 0)
    except (ProcessLookupError, ValueError, KeyError):
        return False
    except PermissionError:
        return True
    return True
