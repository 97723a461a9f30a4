"""Settings of what a run leaves behind to look at."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gaplab.config.checks import check, check_at_least
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


EXTRA_LOGGERS = ("mlflow", "wandb")


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
    extra: list[str] = field(default_factory=list)
    """Further loggers: ``mlflow``, ``wandb``; their packages are not installed by default."""
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
        for name in self.extra:
            check(name in EXTRA_LOGGERS, "logging.extra", f"a list of {', '.join(EXTRA_LOGGERS)}", name)
        if self.diagnostics is Diagnostics.full and not self.tensorboard:
            raise ConfigError(
                "logging.diagnostics: expected none or light without TensorBoard, which shows the "
                "histograms, but got 'full'. Set logging.tensorboard=true."
            )
