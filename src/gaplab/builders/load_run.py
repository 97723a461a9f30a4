"""A finished run as objects: configuration, data and trained task."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule

from gaplab.builders import build_data_and_task
from gaplab.config.resumption import with_overrides
from gaplab.config.schema import Config
from gaplab.data.splits import to_device
from gaplab.errors import ConfigError
from gaplab.runs.checkpoints import load_weights
from gaplab.runs.directory import RunDirectory, read_config


class Which(StrEnum):
    best = "best"
    last = "last"


@dataclass(slots=True)
class LoadedRun:
    """A run as it was, in eval mode."""

    config: Config
    data: Any
    """Its ``PointDataModule`` or ``LightningDataModule``; None where the module has loaders of its own."""
    task: LightningModule


def load_run(
    path: str | Path, *, weights: Which | str = Which.best, overrides: Sequence[str] = ()
) -> LoadedRun:
    """Rebuild a run from its directory; nothing stored there is executed.

    Args:
        path: The run directory.
        weights: ``best`` (smallest validation loss; ``last`` where a run has no validation, and of a GAN), ``last``,
            or ``step=100`` for those that ``logging.checkpoint_steps`` or ``logging.keep_best`` kept.
        overrides: Changes such as ``data.noise=0.5``, to see the trained network on other data; and
            ``extensions=[path.py]`` for a run that was made with choices of a file, or
            ``task.module=mypkg.LitCNN`` for a Lightning project.

    Raises:
        ConfigError: If the directory is not a run, or a file in it is missing or damaged.
    """
    path = Path(path)
    config = with_overrides(read_config(path), overrides, str(path / "config.yaml")).config
    data, task = build_data_and_task(config)
    run = RunDirectory(path)
    if weights == Which.best and not config.task.keeps_best:
        weights = Which.last
    checkpoint = _checkpoint(run, str(weights))
    if config.trainer.precision == "64-true":  # otherwise half of the digits would be lost
        task.double()
        for split in getattr(data, "splits", {}).values():
            split.moved(to_device(None, torch.float64))
    load_weights(task, checkpoint)
    return LoadedRun(config, data, task.eval())


def _checkpoint(run: RunDirectory, weights: str) -> Path:
    """Return the file with the weights that are asked for.

    Raises:
        ConfigError: If it is not there; those that are there are named.
    """
    if weights.startswith("step="):
        path = run.last.with_name(f"{weights}.ckpt")
    elif weights in tuple(Which):
        path = run.best if weights == Which.best and run.best.is_file() else run.last
    else:
        raise ConfigError(f"weights: expected best, last or step=N, but got {weights!r}.")
    if not path.is_file():
        there = sorted(file.stem for file in path.parent.glob("*.ckpt"))
        raise ConfigError(
            f"{path}: expected a checkpoint, but there is none; did the run save any? There are: "
            f"{', '.join(there) or 'none'}."
        )
    return path
