"""A finished run as objects: configuration, data and trained task."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gaplab.builders import build_data_and_task
from gaplab.config.resumption import with_overrides
from gaplab.config.schema import Config
from gaplab.data.datamodule import PointDataModule
from gaplab.errors import ConfigError
from gaplab.runs.checkpoints import load_weights
from gaplab.runs.directory import RunDirectory, read_config
from gaplab.tasks.task import Task


class Which(StrEnum):
    best = "best"
    last = "last"


@dataclass(slots=True)
class LoadedRun:
    """A run as it was, in eval mode."""

    config: Config
    data: PointDataModule
    task: Task


def load_run(
    path: str | Path, *, weights: Which | str = Which.best, overrides: Sequence[str] = ()
) -> LoadedRun:
    """Rebuild a run from its directory; nothing stored there is executed.

    Args:
        path: The run directory.
        weights: ``best`` (smallest validation loss; ``last`` where a run has no validation) or ``last``.
        overrides: Changes such as ``data.noise=0.5``, to see the trained network on other data; and
            ``extensions=[path.py]`` for a run that was made with choices of a file.

    Raises:
        ConfigError: If the directory is not a run, or a file in it is missing or damaged.
    """
    path = Path(path)
    config = with_overrides(read_config(path), overrides, str(path / "config.yaml")).config
    data, task = build_data_and_task(config)
    run = RunDirectory(path)
    checkpoint = run.best if weights == Which.best and run.best.is_file() else run.last
    if not checkpoint.is_file():
        raise ConfigError(f"{checkpoint}: expected a checkpoint, but there is none; did the run save any?")
    load_weights(task, checkpoint)
    return LoadedRun(config, data, task.eval())
