"""Which runs can share one stacked training, and which cannot be stacked at all."""

import dataclasses
from collections.abc import Hashable
from typing import Any

from gaplab.config.network import NetworkConfig, is_pointwise
from gaplab.config.optimizer import LBFGSConfig, OptimizerConfig
from gaplab.config.registry import built_otherwise, class_that_builds
from gaplab.config.schema import Config
from gaplab.config.task import ClassificationConfig, TaskConfig

FREE = {
    "data": {
        *("num_points", "split_mode", "num_folds", "fold", "batch_size", "label_noise", "label_noise_in"),
        *("noise_scale", "noise", "turns", "sampling", "min_radius", "scaling", "std"),
    },
    "network": {"initialization", "gain", "rng_skip_widths"},
    "optimizer": {
        *(
            "lr",
            "weight_decay",
            "weight_decay_on_bias",
            "schedule",
            "warmup_steps",
            "lr_gamma",
            "lr_knots",
            "max_grad_norm",
            "sharpness_radius",
        ),
        *("momentum", "beta1", "beta2", "eps"),
    },
}
"""Keys that may differ between the runs of a group, because they change no shape and no operation."""
OPERATIONS = ("label_smoothing", "input_noise", "mixup", "r1", "r2", "gradient_penalty")
"""Settings of tasks that may differ as well, if they are zero in all runs of a group or in none."""


def obstacle(config: Config) -> str | None:
    """Return why a run cannot be stacked with others, as the end of a sentence; None where it can."""
    trainer = config.trainer
    if config.phenomenon.name is not None:
        return "a phenomenon trains several networks of its own"
    if config.init_from is not None:
        return "init_from starts from the weights of another run"
    if config.logging.checkpoint_steps or config.logging.keep_best > 1:
        return "logging.checkpoint_steps and logging.keep_best are kept by a run by itself"
    if not _has_stacked_form(config.task):
        return f"the task {type(config.task).__name__} has no stacked form"
    if config.task.unstacked is not None:
        return config.task.unstacked
    for optimizer in filter(None, (config.optimizer, _second_optimizer(config))):
        if isinstance(optimizer, LBFGSConfig):
            return "L-BFGS searches along a line of its own in every run, so that steps do not coincide"
        if optimizer.update_rule is None or built_otherwise(optimizer, "update_rule"):
            return f"the optimizer {type(optimizer).__name__} has no stacked update rule"
    if trainer.precision not in ("32-true", "64-true"):
        return f"trainer.precision={trainer.precision} is not stacked, only 32-true and 64-true are"
    if unstacked := [key for key in ("callbacks", "schedule") if getattr(config, key)]:
        return f"{unstacked[0]} belong to a training loop of its own, which stacked models share"
    if config.logging.extra:
        return "the loggers of logging.extra follow one run each"
    if trainer.extra:
        return f"trainer.extra.{next(iter(trainer.extra))} is not stacked"
    if trainer.averages and not isinstance(config.task, ClassificationConfig):
        return "only the weights of classifiers are averaged as a stack"
    if trainer.accumulate_grad_batches != 1 or trainer.gradient_clip_val is not None:
        return "trainer.accumulate_grad_batches and trainer.gradient_clip_val are not stacked"
    if trainer.num_nodes not in (1, "auto") or trainer.devices not in (1, "auto"):
        return "a run that is spread over several processes is not stacked as well"
    return None


def group_key(config: Config) -> Hashable:
    """Return a value that is equal for runs whose tensors have equal shapes and whose steps coincide."""
    data, task = config.data, config.task
    return (
        _fixed("data", data),
        data.points_per_step,
        config.has_validation,
        _fixed("network", config.network),
        # A loss or a network of a user's own may compare the points of a batch, of which all runs need equally many.
        None
        if task.stacks_any_sizes and is_pointwise(config.network)
        else (data.num_points, data.num_folds, data.fold),
        _fixed("task", task),
        tuple(getattr(task, name, 0.0) > 0 for name in OPERATIONS),
        getattr(task, "clip_weights", None) is None,
        _fixed("optimizer", config.optimizer),
        _fixed("optimizer", _second_optimizer(config)),
        config.evaluation_steps,
        (config.trainer.precision, config.trainer.accelerator, config.trainer.deterministic),
        config.trainer.compile,
        (config.trainer.ema_decay is None, config.trainer.swa_start is None),
    )


def _has_stacked_form(task: TaskConfig) -> bool:
    if task.stacks and not built_otherwise(task, "stacks"):
        return True
    return bool(getattr(class_that_builds(task), "stacks", False))


def _second_optimizer(config: Config) -> OptimizerConfig | None:
    return getattr(config.task, "discriminator_optimizer", None)


def _fixed(section: str, config: Any) -> Hashable:
    """The class of a section and the settings that must be equal, as text."""
    if config is None:
        return None
    free = config.free_in_stacks if section == "task" else FREE[section]
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name not in free}
    for name, value in values.items():
        if isinstance(value, NetworkConfig):
            values[name] = _fixed("network", value)
        elif isinstance(value, OptimizerConfig):
            values[name] = None  # a second optimiser stands in the key by itself
    if section == "network":
        values["dropout"] = values.get("dropout", 0.0) > 0
    if section == "optimizer":
        values |= {"clips": config.max_grad_norm is not None, "sharpens": config.sharpness_radius > 0}
    return f"{type(config).__module__}.{type(config).__qualname__} {values!r}"
