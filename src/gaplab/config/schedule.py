"""``schedule=torch``: any learning-rate schedule of torch, in place of ``optimizer.schedule``."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gaplab.config.checks import check
from gaplab.config.parts import build_part, check_part, find_class, names_of, open_mapping
from gaplab.config.registry import choice, without_builder
from gaplab.errors import ConfigError

TOTALS = {"OneCycleLR": "total_steps", "CosineAnnealingLR": "T_max"}
"""The argument of a class that is its whole length, filled in from the run unless it is given."""
OF_SCHEDULES = ("SequentialLR", "ChainedScheduler")


class Interval(StrEnum):
    step = "step"
    epoch = "epoch"
    evaluation = "evaluation"
    """After every measurement of all splits: what ReduceLROnPlateau needs."""


@dataclass(kw_only=True, slots=True)
class ScheduleConfig:
    """Any schedule beside those of the section ``optimizer``; one of your own derives from this class."""

    interval: Interval | None = None
    """When it moves, which are its own steps; null: after every optimiser step, ReduceLROnPlateau after every
    measurement."""

    @property
    def moves_after(self) -> Interval:
        return self.interval or Interval.step

    def build(self, optimizer: Any, total: int) -> Any:
        """Return a ``torch.optim.lr_scheduler.LRScheduler``.

        Args:
            optimizer: The ``torch.optim.Optimizer`` whose learning rate it moves.
            total: How often it moves in the whole run.

        Raises:
            ConfigError: If a class has no method of its own and no builder is registered for it.
        """
        raise without_builder(self)


@choice("schedule", "torch")
@dataclass(kw_only=True, slots=True)
class TorchScheduleConfig(ScheduleConfig):
    """A class by its name; ``OneCycleLR`` and ``CosineAnnealingLR`` get the length of the run unless it is given."""

    name: str = ""
    """Class of ``torch.optim.lr_scheduler``, or a name given to ``register("scheduler", name, Class)``."""
    args: dict[str, Any] = field(default_factory=open_mapping)
    """Its arguments, typed by its signature."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError(
                f"schedule.name: expected one of {', '.join(names_of('scheduler'))}, but got none. "
                "Set schedule.name=NAME."
            )
        if self.short_name in OF_SCHEDULES:
            raise ConfigError(
                f"schedule.name: expected a schedule that stands by itself, but {self.short_name} is made of others. "
                'Write it as a class of your own and register("scheduler", "mine", CLASS).'
            )
        find_class("scheduler", self.name, "schedule.name")
        check_part("scheduler", self.name, {**self.args, **self._length(1)}, "schedule.args", ("optimizer",))
        measured = self.interval in (None, Interval.evaluation)
        if self.is_plateau:
            expected = "null: ReduceLROnPlateau moves when the splits are measured"
            check(measured, "schedule.interval", expected, self.interval)
        else:
            expected = "step or epoch: only ReduceLROnPlateau looks at measurements"
            check(self.interval is not Interval.evaluation, "schedule.interval", expected, "evaluation")

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def is_plateau(self) -> bool:
        return self.short_name == "ReduceLROnPlateau"

    @property
    def moves_after(self) -> Interval:
        return Interval.evaluation if self.is_plateau else self.interval or Interval.step

    def build(self, optimizer: Any, total: int) -> Any:
        found = find_class("scheduler", self.name, "schedule.name")
        return build_part(found, {**self.args, **self._length(total)}, "schedule.args", optimizer)

    def _length(self, total: int) -> dict[str, int]:
        name = TOTALS.get(self.short_name)
        given = name in self.args or "epochs" in self.args
        return {} if name is None or given else {name: total}
