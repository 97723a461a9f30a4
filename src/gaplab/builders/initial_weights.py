"""The weights of another run, from which a run starts at step 0."""

from pathlib import Path

import torch
from lightning.pytorch import LightningModule

from gaplab.config.schema import Config, InitFrom
from gaplab.errors import ConfigError
from gaplab.runs.checkpoints import load_weights
from gaplab.runs.directory import RunDirectory
from gaplab.storage.atomic import replacing


def start_from(task: LightningModule, source: str, which: InitFrom) -> None:
    """Put the weights of a run directory, or of a checkpoint, into a task.

    Args:
        task: Takes them.
        source: The directory or the file.
        which: Which weights of a directory; ``best`` are the last ones where a run has no validation.

    Raises:
        ConfigError: If there are none, or they belong to another network; differing shapes are named.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        run = RunDirectory(path)
        path = run.best if which is InitFrom.best and run.best.is_file() else run.last
    if not path.is_file():
        raise ConfigError(
            f"init_from: expected a run directory with checkpoints, or a checkpoint, but there is no {path}."
        )
    load_weights(task, path)


def keep_initial_weights(
    run: RunDirectory, config: Config, task: LightningModule, checkpoint: Path | None
) -> None:
    """Keep the weights of another run beside those that come of them: distances start there."""
    if config.init_from is not None and checkpoint is None and run.writes:
        with replacing(run.initial) as temporary:
            torch.save({"state_dict": task.state_dict(), "global_step": 0}, temporary)
