"""Settings of the tasks: what is learned, and by which loss."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from gaplab.config.checks import check

if TYPE_CHECKING:
    from gaplab.config.schema import Config


class ClassificationLoss(StrEnum):
    cross_entropy = "cross_entropy"
    squared_error = "squared_error"
    hinge = "hinge"
    perceptron = "perceptron"


@dataclass(kw_only=True, slots=True)
class TaskConfig:
    """Any task; a user's own config derives from this class."""

    monitor: ClassVar[str] = "loss/{split}"
    """Tag of the quantity that selects the best weights on val, and that a sweep minimises."""

    def check_fits(self, config: "Config") -> None:
        """Raise ``ConfigError`` if other sections of the configuration do not suit the task."""


@dataclass(kw_only=True, slots=True)
class ClassificationConfig(TaskConfig):
    """Learn the label of a point."""

    loss: ClassificationLoss = ClassificationLoss.cross_entropy
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes; used in training, never in the scores."""

    def __post_init__(self) -> None:
        check(
            0 <= self.label_smoothing < 1,
            "task.label_smoothing",
            "a share in [0, 1)",
            self.label_smoothing,
        )
        check(
            self.label_smoothing == 0 or self.loss is ClassificationLoss.cross_entropy,
            "task.label_smoothing",
            "0 unless task.loss=cross_entropy",
            self.label_smoothing,
        )
