"""The list ``callbacks``: classes of Lightning and of extensions that watch a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from gaplab.config.checks import check
from gaplab.config.parts import build_part, check_part, find_class, split_entry
from gaplab.errors import ConfigError

REFUSED: Mapping[str, str] = {
    "StochasticWeightAveraging": (
        "it averages over epochs of a Trainer that knows its last one, forgets the average when a run continues, and "
        "would leave the last weights untrained. EMAWeightAveraging and WeightAveraging average by optimiser steps: "
        "callbacks=[{_target_: EMAWeightAveraging, update_starting_at_step: 100}]"
    ),
    "GradientAccumulationScheduler": (
        "it would change what an optimiser step is in the middle of a run, which is counted in those. Set "
        "trainer.accumulate_grad_batches"
    ),
    "BatchSizeFinder": "it would train on batches that config.yaml does not name. Set data.batch_size",
    "LearningRateFinder": (
        "it would train with a learning rate that config.yaml does not name. Sweep it: "
        "-m optimizer.lr=0.001,0.01,0.1"
    ),
    "LambdaCallback": "it takes functions, which no configuration holds. Register a Callback of your own",
    "ThroughputMonitor": "it takes functions, which no configuration holds. Register a subclass of your own",
}
"""Classes that cannot do what they promise here, and what to do instead."""
LOGS = ("LearningRateMonitor", "DeviceStatsMonitor")
"""Classes that refuse to work without a logger."""


def check_callbacks(entries: Sequence[Any], *, has_loggers: bool, progress_bar: bool) -> None:
    """Check the list; classes of Lightning are also built once, so that they can refuse a value.

    Raises:
        ConfigError: For an entry that is not allowed, or cannot work.
    """
    seen: list[tuple[str, dict[str, Any]]] = []
    for number, entry in enumerate(entries):
        key = f"callbacks[{number}]"
        name, arguments = split_entry(entry, key)
        found = find_class("callback", name, key)
        kinds = [kind.__name__ for kind in found.__mro__ if kind.__module__.startswith("lightning.")]
        for kind in kinds:
            if kind in REFUSED:
                raise ConfigError(f"{key}: expected another callback than {name}: {REFUSED[kind]}.")
            check(
                kind not in LOGS or has_loggers,
                key,
                f"a logger for {kind}, which logging.tensorboard, csv or extra switch on",
                entry,
            )
        check(
            "ProgressBar" not in kinds or not progress_bar,
            "trainer.progress_bar",
            f"false beside {name}",
            True,
        )
        check_part("callback", name, arguments, key)
        if (name, arguments) in seen:
            raise ConfigError(f"{key}: expected every callback once, but got {entry!r} again.")
        seen.append((name, arguments))
        if found.__module__.startswith("lightning."):
            build_part(found, arguments, key)
