"""What a command finds in the directory it wants to write to, and what follows from it."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gaplab.config.compose import Composed
from gaplab.config.resumption import differences, with_overrides
from gaplab.config.schema import RunConfig
from gaplab.errors import ConfigError
from gaplab.runs.anew import is_restarted, refuse_other_run
from gaplab.runs.checkpoints import read_checkpoint
from gaplab.runs.directory import RunDirectory, Status, read_config, read_json, refuse_changed_data
from gaplab.storage.locking import lock, unlock
from gaplab.storage.reading import read_yaml, refuse_links
from gaplab.tensorboard.event_files import EVENT_FILES
from gaplab.tensorboard.loggers import METRICS, MetricsTable


@dataclass(slots=True)
class Plan:
    """What to do: train ``composed`` in ``path``, from ``checkpoint`` if there is one."""

    composed: Composed
    path: Path
    checkpoint: Path | None = None
    finished: bool = False
    """Nothing is left to do."""
    anew: bool = False
    """What was measured so far cannot be compared with what will be: see ``Recorder.anew``."""
    until: int | None = None
    """The step at which it is saved and left, though it has more to do; None for its end."""

    @property
    def last_step(self) -> int:
        """Where the run will stand."""
        return self.composed.config.num_steps if self.until is None else self.until


def plan_new(composed: Composed, path: Path) -> Plan:
    """Plan a run whose directory may hold an earlier attempt at the same run.

    Raises:
        ConfigError: If the directory belongs to a live run or to a run of another configuration.
    """
    refuse_other_run(composed, path)
    return _plan_continuation(composed, path) if (path / "run.json").is_file() else Plan(composed, path)


def plan_again(plan: Plan) -> Plan:
    """Plan a run whose turn has come, as it is now: what was known may be old, and others may have locked it since.

    Raises:
        ConfigError: As ``plan_new``.
    """
    if plan.checkpoint is None or not differences(read_config(plan.path), plan.composed.resolved):
        return replace(plan_new(plan.composed, plan.path), until=plan.until)
    lock(plan.path, lock_timeout_seconds())  # its settings change from here on, as was planned
    return plan


def latest_run(overrides: Sequence[str]) -> Path:
    """Return the run below ``run.root`` that was written to last, for ``resume=latest``.

    Raises:
        ConfigError: If there is none.
    """
    given = [word.partition("=")[2] for word in overrides if word.startswith("run.root=")]
    root = Path(given[-1] if given else RunConfig().root)
    records = sorted(root.glob("*/*/run.json"), key=lambda file: file.stat().st_mtime_ns)
    if not records:
        raise ConfigError(
            f"resume: expected a run below {root}, but there is none. run.root=FOLDER is looked at instead."
        )
    print(f"Continuing {records[-1].parent}")
    return records[-1].parent


def plan_resumption(path: Path, overrides: list[str]) -> Plan:
    """Plan to continue the run in ``path`` with changed settings.

    Raises:
        ConfigError: If there is no such run, a live process works on it, or a change is impossible.
    """
    composed = with_overrides(read_config(path), overrides, f"{path / 'config.yaml'}")
    composed.overrides = _merged_words(path, composed.overrides)
    changes = differences(read_config(path), composed.resolved)
    refused = [change for change in changes if change.effect.startswith("refused")]
    if refused:
        shown = ", ".join(f"{change.key} ({change.old!r} -> {change.new!r})" for change in refused)
        raise ConfigError(f"resume: {shown} cannot change: {refused[0].effect.removeprefix('refused: ')}.")
    for change in changes:
        print(f"{change.key}: {change.old!r} -> {change.new!r} ({change.effect})")
    plan = _plan_continuation(composed, path, changed=bool(changes))
    plan.anew = any(change.is_measured_differently for change in changes)
    return plan


def _merged_words(path: Path, words: list[str]) -> list[str]:
    """Return what was typed for a run all along, the latest value of every key."""
    try:
        before = [str(word) for word in read_yaml(path / "overrides.yaml") or []]
    except ConfigError:  # missing or damaged: what is typed now is all that is known
        return words
    return list({word.lstrip("+~").split("=")[0]: word for word in (*before, *words)}.values())


def _plan_continuation(composed: Composed, path: Path, changed: bool = False) -> Plan:
    lock(path, lock_timeout_seconds())
    refuse_links(path)
    finished = read_json(path / "run.json").get("status") == Status.finished
    if finished and not changed:
        refuse_changed_data(path, composed.config.data.content_hash())
    run = RunDirectory(path)
    if finished and composed.config.phenomenon.name is not None:  # it trains many networks and keeps none
        return Plan(composed, path, finished=True)
    if finished and not changed and not composed.config.logging.checkpoints:
        return Plan(composed, path, finished=True)
    if finished and not run.last.is_file():
        raise ConfigError(f"{run.last}: expected the last checkpoint of a finished run, but it is gone.")
    if finished and not changed:
        return Plan(composed, path, run.last, finished=True)
    for leftover in (*path.glob(".*.*"), *run.last.parent.glob(".*.*")):  # of a write that was killed
        leftover.unlink()
    content = newest_checkpoint(run)
    if content is not None and int(content["global_step"]) > composed.config.num_steps:
        unlock(path)
        raise ConfigError(
            f"trainer.max_steps: expected at least the {content['global_step']} steps that {path} has taken, but got "
            f"{composed.config.num_steps}. Start a new run, or keep more steps."
        )
    if content is None:
        clear(path)
        return Plan(composed, path)
    rewind(path, content)
    return Plan(composed, path, run.last)


def newest_checkpoint(run: RunDirectory) -> dict[str, Any] | None:
    """Read ``last.ckpt``, or put ``previous.ckpt`` in its place if it is damaged; None if there is neither.

    Raises:
        ConfigError: If both are damaged.
    """
    try:
        return read_checkpoint(run.last)
    except ConfigError as error:
        if not run.previous.is_file():
            if not run.last.is_file():
                return None
            raise
        content = read_checkpoint(run.previous)
        print(f"{error} Continuing from previous.ckpt at step {content['global_step']}.")
    if run.last.is_file():
        run.last.replace(run.last.with_name("damaged.ckpt"))
    run.previous.replace(run.last)
    return content


def rewind(path: Path, content: dict[str, Any]) -> None:
    """Cut event files and ``metrics.csv`` to what they held at a checkpoint; the rest will come again."""
    MetricsTable(path / METRICS).forget_after(int(content["global_step"]))
    sizes = content["callbacks"]["Checkpoints"]["event_sizes"]
    for file in path.rglob(EVENT_FILES):
        size = sizes.get(str(file.relative_to(path)), 0)
        if size == 0 or file.is_symlink():
            file.unlink()
        elif file.stat().st_size > size:
            os.truncate(file, size)


def clear(path: Path) -> None:
    """Remove what an attempt without a checkpoint left, so that its points do not mix with the new ones."""
    (path / METRICS).unlink(missing_ok=True)
    for file in path.rglob(EVENT_FILES):
        file.unlink()
    shutil.rmtree(path / "figures", ignore_errors=True)


def lock_timeout_seconds(environment: Mapping[str, str] = os.environ) -> float:
    """How long to wait for a directory: a restarted job may begin before its former self has ended."""
    return 60.0 if is_restarted(environment) else 0.0
