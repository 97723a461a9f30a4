"""Settings of what a run leaves behind to look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gaplab.config.checks import check, check_at_least, nearest
from gaplab.config.parts import check_part, names_of, split_entry
from gaplab.errors import ConfigError

# No choice is called "on" or "off": YAML 1.1 reads those as booleans.


class SubRuns(StrEnum):
    auto = "auto"
    """Yes, except in sweeps of more than ten jobs."""
    always = "always"
    never = "never"


class Diagnostics(StrEnum):
    none = "none"
    light = "light"
    """Gradient norms by layer and the share of dead units."""
    full = "full"
    """Also histograms, and every picture at every chosen step instead of at the end only."""


SHORT_NAMES = {"mlflow": "MLFlowLogger", "wandb": "WandbLogger"}


FILLED: Mapping[str, tuple[str, ...]] = {
    "WandbLogger": ("project", "name", "save_dir"),
    "MLFlowLogger": ("experiment_name", "run_name", "tracking_uri"),
    "CSVLogger": ("save_dir",),
    "TensorBoardLogger": ("save_dir",),
}
"""Arguments that follow from the run unless they are given."""


def logger_of(entry: Any, key: str) -> tuple[type, dict[str, Any]]:
    """Return class and arguments of an entry of ``logging.extra``.

    Raises:
        ConfigError: If it is not allowed, or its arguments are not those of the class.
    """
    name, arguments = split_entry(entry, key)
    if name not in names_of("logger") and (hint := nearest(name, list(SHORT_NAMES))):
        check(name in SHORT_NAMES, key, " or ".join(SHORT_NAMES), name, hint.strip())
    name = SHORT_NAMES.get(name, name)
    filled = FILLED.get(name.rpartition(".")[2], ())
    found = check_part("logger", name, dict.fromkeys(filled, "") | arguments, key)
    return found, arguments


@dataclass(kw_only=True, slots=True)
class LoggingConfig:
    """Which records a run writes beside its result and its checkpoints."""

    tensorboard: bool = True
    csv: bool = True
    """Write ``metrics.csv``, a row a measurement."""
    checkpoints: bool = True
    """Keep the weights of a run that has finished; false saves two files a run in sweeps of thousands."""
    checkpoint_steps: Any = field(default_factory=list)
    """Optimiser steps after which the weights are kept as ``checkpoints/step=N.ckpt``, for example ``[1,10,100]``;
    ``log`` for 1, 2, 5, 10, 20, 50 and so on."""
    keep_best: int = 1
    """Keep the weights of so many of the best measurements, also the best one, as ``checkpoints/step=N.ckpt``."""
    extra: list[Any] = field(default_factory=list)
    """Further loggers, of Lightning or of extensions: ``wandb``, ``mlflow`` (their packages are not installed by
    default), a name, or ``{_target_: WandbLogger, offline: true}``."""
    subruns: SubRuns = SubRuns.auto
    """Write ``loss`` and ``accuracy`` from sub-runs, so that TensorBoard shows the splits in colours."""
    diagnostics: Diagnostics = Diagnostics.light
    projector: bool = False
    """Write the last hidden layer's outputs of 300 test points for TensorBoard's page Projector."""
    pictures: bool = True
    pictures_every_n_evaluations: int = 5
    """Measurements between two pictures; the end is always drawn."""

    def __post_init__(self) -> None:
        check_at_least("logging.pictures_every_n_evaluations", self.pictures_every_n_evaluations, 1)
        check_at_least("logging.keep_best", self.keep_best, 1)
        steps = self.checkpoint_steps
        check(
            steps == "log"
            or (isinstance(steps, list) and all(type(step) is int and step > 0 for step in steps)),
            "logging.checkpoint_steps",
            "a list of whole numbers from 1 on, as in [1,10,100], or log",
            steps,
        )
        for number, entry in enumerate(self.extra):
            logger_of(entry, f"logging.extra[{number}]")
        if self.diagnostics is Diagnostics.full and not self.tensorboard:
            raise ConfigError(
                "logging.diagnostics: expected none or light without TensorBoard, which shows the "
                "histograms, but got 'full'. Set logging.tensorboard=true."
            )
