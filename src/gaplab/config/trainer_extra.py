"""``trainer.extra``: arguments of Lightning's Trainer that have no key of their own."""

from collections.abc import Mapping
from typing import Any

from gaplab.config.checks import check
from gaplab.config.parts import check_part, split_entry
from gaplab.config.signatures import check_arguments
from gaplab.errors import ConfigError

_OWN_KEY = "it is a key of its own; set trainer.{name}"
_WHOLE = "every measurement covers all splits whole, at the same weights; the gap needs that"
_STEPS = "measurements and lengths are counted in optimiser steps; set {key}"
_UNUSED = "it has no effect, as nothing is tested or predicted beside the measurements"

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("accelerator", "devices", "num_nodes", "precision", "max_steps", "max_epochs", "deterministic"),
            *("accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm"),
        ),
        _OWN_KEY,
    ),
    "logger": "set logging.tensorboard, logging.csv and logging.extra",
    "callbacks": "set the list callbacks",
    "enable_progress_bar": "set trainer.progress_bar",
    "enable_checkpointing": "set logging.checkpoints; last.ckpt is what a run continues from",
    "default_root_dir": "set run.root and run.id",
    "val_check_interval": _STEPS.format(key="trainer.eval_every_n_steps"),
    "check_val_every_n_epoch": _STEPS.format(key="trainer.eval_every_n_steps"),
    "min_steps": _STEPS.format(key="trainer.max_steps"),
    "min_epochs": _STEPS.format(key="trainer.max_epochs"),
    "num_sanity_val_steps": f"{_WHOLE}; a mistake shows at the first one, trainer.eval_every_n_steps=1",
    "limit_val_batches": f"{_WHOLE}; set data.num_val_points and data.num_test_points",
    "limit_test_batches": _UNUSED,
    "limit_predict_batches": _UNUSED,
    "reload_dataloaders_every_n_epochs": "the splits stay the same for the whole run",
    "use_distributed_sampler": "processes share every batch exactly already",
    "sync_batchnorm": "it is on with several GPUs, and there is none for the CPU",
    "plugins": "it takes objects, which no configuration holds",
    "barebones": "it switches off measurements, loggers and checkpoints",
}
"""Arguments that would break the measurement or that something else sets, with the reason."""
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "fsdp")


def check_extra(extra: Mapping[str, Any]) -> None:
    """Check names and types against the signature of Lightning's Trainer.

    Raises:
        ConfigError: For an argument that is refused, unknown, or of another type.
    """
    if not extra:
        return
    for name, reason in REFUSED.items():
        if name in extra:
            raise ConfigError(f"trainer.extra.{name}: refused: {reason.format(name=name)}.")
    from lightning.pytorch import Trainer

    plain = {name: value for name, value in extra.items() if name != "strategy"}
    check_arguments(Trainer, plain, "trainer.extra", filled=tuple(REFUSED))
    for name in ("limit_train_batches", "overfit_batches"):
        if name in extra:
            value = extra[name]
            check(
                value > 0 and (isinstance(value, int) or value <= 1),
                f"trainer.extra.{name}",
                "a number of batches, or a share in (0, 1]",
                value,
            )
    check(
        extra.get("fast_dev_run", 1) >= 0,
        "trainer.extra.fast_dev_run",
        "true, or steps",
        extra.get("fast_dev_run"),
    )
    if {"limit_train_batches", "overfit_batches"} <= set(extra):
        raise ConfigError(
            "trainer.extra: expected limit_train_batches or overfit_batches, but got both. Leave one out."
        )
    if "max_time" in extra:
        _check_time(extra["max_time"])
    if "strategy" in extra:
        strategy_of(extra["strategy"])


def strategy_of(entry: Any) -> tuple[str, dict[str, Any]]:
    """Return the name of a strategy as in ``STRATEGIES`` and arguments of its class.

    Raises:
        ConfigError: For any other strategy.
    """
    key = "trainer.extra.strategy"
    name, arguments = split_entry(entry, key)
    if isinstance(entry, str) and name in STRATEGIES:
        if name == "ddp_find_unused_parameters_true":
            return "ddp", {"find_unused_parameters": True}
        return name, {}
    short = {"DDPStrategy": "ddp", "FSDPStrategy": "fsdp"}.get(name.rpartition(".")[2])
    if short is None:
        raise ConfigError(
            f"{key}: expected one of {', '.join(STRATEGIES)}, or DDPStrategy or FSDPStrategy with arguments, but got "
            f"{entry!r}. Others are not known to give the gradient of the whole batch."
        )
    check_part("strategy", name, arguments, key)
    return short, arguments


def batches_used(extra: Mapping[str, Any], batches: int) -> int:
    """Return how many of the batches of an epoch are trained on.

    >>> batches_used({"limit_train_batches": 3}, 10), batches_used({"overfit_batches": 0.25}, 10), batches_used({}, 7)
    (3, 2, 7)
    """
    wanted = extra.get("limit_train_batches", extra.get("overfit_batches", 1.0))
    return min(batches, wanted if isinstance(wanted, int) else max(1, int(batches * wanted)))


def _check_time(value: Any) -> None:
    from lightning.fabric.utilities.exceptions import MisconfigurationException
    from lightning.pytorch.callbacks import Timer

    try:
        Timer(value)
    except (MisconfigurationException, TypeError, ValueError, KeyError) as error:
        raise ConfigError(
            "trainer.extra.max_time: expected DD:HH:MM:SS, or a mapping such as {minutes: 10}, but got "
            f"{value!r}."
        ) from error
