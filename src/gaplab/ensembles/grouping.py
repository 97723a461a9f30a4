"""Which runs can share one stacked training, and which cannot be stacked at all."""

import dataclasses
from collections.abc import Hashable
from typing import Any

from gaplab.config.data import DataConfig
from gaplab.config.optimizer import LBFGSConfig, OptimizerConfig
from gaplab.config.schema import Config
from gaplab.config.task import ClassificationConfig

FREE = {
    "data": {
        *("num_points", "splits", "num_folds", "fold", "batch_size", "label_noise", "label_noise_in"),
        *("noise_scale", "noise", "turns", "sampling", "min_radius"),
    },
    "network": {"initialization", "gain", "drawn_before"},
    "task": {"label_smoothing"},
    "optimizer": {
        *("lr", "weight_decay", "decay_biases", "schedule", "warmup_steps", "decay", "clip_norm"),
        *("momentum", "beta1", "beta2", "eps"),
    },
}
"""Keys that may differ between the runs of a group, because they change no shape and no operation."""


def obstacle(config: Config) -> str | None:
    """Return why a run cannot be stacked with others, as the end of a sentence; None where it can."""
    trainer = config.trainer
    if config.phenomenon.name is not None:
        return "a phenomenon trains several networks of its own"
    if not isinstance(config.task, ClassificationConfig):
        return f"the task {type(config.task).__name__} has no stacked form"
    if isinstance(config.optimizer, LBFGSConfig):
        return "L-BFGS searches along a line of its own in every run, so that steps do not coincide"
    if trainer.precision not in ("32-true", "64-true"):
        return f"trainer.precision={trainer.precision} is not stacked, only 32-true and 64-true are"
    if trainer.num_nodes not in (1, "auto") or trainer.devices not in (1, "auto"):
        return "a run that is spread over several processes is not stacked as well"
    return None


def group_key(config: Config) -> Hashable:
    """Return a value that is equal for runs whose tensors have equal shapes and whose steps coincide."""
    data, optimizer = config.data, config.optimizer
    return (
        _fixed("data", data),
        data.points_per_step,
        config.has_validation,
        _fixed("network", config.network),
        getattr(config.network, "dropout", 0.0) > 0,
        _fixed("task", config.task),
        getattr(config.task, "label_smoothing", 0.0) > 0,
        _fixed("optimizer", optimizer),
        optimizer.clip_norm is None,
        (config.num_steps, config.steps_between_evaluations),
        (config.trainer.precision, config.trainer.accelerator, config.trainer.deterministic),
    )


def _fixed(section: str, config: DataConfig | OptimizerConfig | Any) -> Hashable:
    """The class of a section and the settings that must be equal, as text."""
    free = FREE[section] | ({"dropout"} if section == "network" else set())
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name not in free}
    return type(config), repr(values)
