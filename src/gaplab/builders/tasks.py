"""Data and task of a whole run."""

from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.model_helpers import is_overridden

from gaplab.builders.data import build_data
from gaplab.callbacks.generalization_gap import measures_itself
from gaplab.config.data import SIZE_KEYS
from gaplab.config.registry import build_choice
from gaplab.config.schema import Config
from gaplab.data.datamodule import PointDataModule
from gaplab.errors import ConfigError
from gaplab.randomness import make_generator, seeded_global_generators

SharedDraws = dict[tuple[str, int], PointDataModule]
"""Point sets by settings and seed: runs beside each other that draw the same points can share them."""


def build_data_and_task(config: Config, draws: SharedDraws | None = None) -> tuple[Any, LightningModule]:
    """Build data and task of a run, in the order in which they draw random numbers.

    The data are a ``PointDataModule``, or what a task with data of its own brings: a ``LightningDataModule``, or None
    where the module has loaders. A task that does not measure itself (``callbacks/generalization_gap.py``) validates on
    one split, as Lightning's own would.

    With ``draws`` a point set is drawn once for all runs that ask for the same one; its order and number of
    steps are then those of the first run.
    """
    init_stream = (
        make_generator(config.data_seed) if config.shared_rng else make_generator(config.init_seed, "weights")
    )
    if config.task.has_own_data:
        with seeded_global_generators(config.data_seed, "global", "points"):
            data = config.task.build_data(config)
    elif draws is None or config.shared_rng:
        data = build_data(config, init_stream)
    else:
        key = repr(config.data), config.data_seed
        if key not in draws:
            draws[key] = build_data(config, init_stream)
        data = draws[key]
        config.take_sizes({split: data.config.size_of(split) for split in SIZE_KEYS})
    with seeded_global_generators(config.init_seed, "global", "weights"):
        task = build_choice(config.task, config, data, init_stream)
    if isinstance(data, PointDataModule):
        data.validates_all = measures_itself(task)
    _check_training(config, data, task)
    return data, task


def _check_training(config: Config, data: Any, task: LightningModule) -> None:
    """Refuse what Lightning would refuse in ``fit`` only, when a run has begun to write.

    Raises:
        ConfigError: If a module lacks a method, or steps by hand where the Trainer is to clip or to accumulate.
    """
    name, section = type(task).__name__, config.trainer
    if not task.automatic_optimization:
        for key, value, idle in (
            ("gradient_clip_val", section.gradient_clip_val, None),
            ("accumulate_grad_batches", section.accumulate_grad_batches, 1),
        ):
            if value != idle:
                raise ConfigError(
                    f"trainer.{key}: expected {'null' if idle is None else idle}, as {name} takes its steps by hand "
                    f"(automatic_optimization=False), but got {value}. Do it in its training_step."
                )
    if not is_overridden("configure_optimizers", task, LightningModule):
        raise ConfigError(f"task: expected a method configure_optimizers, but {name} has none.")
    if data is None and not is_overridden("train_dataloader", task, LightningModule):
        raise ConfigError(
            f"task.datamodule: expected a LightningDataModule, as in task.datamodule=mypkg.DigitsDM, as {name} has no "
            "train_dataloader of its own, but got null."
        )
