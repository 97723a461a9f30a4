"""The books of one run, whether it trains alone or in a stack: what was measured, what was best, when it ends."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from gaplab.config.schema import Config
from gaplab.errors import ConfigError, DivergedError
from gaplab.metrics.bounds import Bound
from gaplab.metrics.logged_names import is_better_when_higher, monitored_tag
from gaplab.networks import num_parameters
from gaplab.runs.checkpoints import Weights
from gaplab.runs.results import Result

STATE_KEY = "Recorder"
"""Under which a checkpoint keeps ``state_dict`` among the states of its callbacks."""


@dataclass(slots=True)
class Recorder:
    """Takes in every measurement of a run and applies the rules by which the run stops.

    Args:
        config: The configuration of the run.
    """

    config: Config
    step: int = 0
    """Optimiser steps at the latest measurement."""
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    """Scorecards by step."""
    extras: dict[int, dict[str, float]] = field(default_factory=dict)
    """What is logged beside a scorecard, by step; only of this process, and only until it is written."""
    best_value: float = math.inf
    """Smallest value of what is monitored on val; of its negative where a larger one is better."""
    best_step: int = 0
    stale: int = 0
    """Measurements since the monitored value was last better."""
    stopped: bool = False
    divergence: DivergedError | None = None
    failure: Exception | None = None
    """What went wrong with this run of a stack, whose neighbours go on."""
    anew: bool = False
    """Whether the best weights are chosen anew when a checkpoint is restored: values on other data, or of another loss,
    cannot be compared."""
    measured: set[int] = field(default_factory=set)
    """Steps that this process has measured; others come from a checkpoint."""
    bounds: list[Bound] = field(default_factory=list)
    """Bounds for the last weights."""
    measures: dict[str, float] = field(default_factory=dict)
    """Bounds, scales and capacity measures of the last weights, a number a tag."""
    remarks: list[str] = field(default_factory=list)
    """Sentences that belong to the result, such as why it has no bound."""

    higher_is_better: dict[str, bool] = field(default_factory=dict)
    """In which direction better lies, by quantity, as far as it has been told."""

    @property
    def has_best(self) -> bool:
        """Whether some weights are the best so far; of a task whose quantity cannot tell, the last ones count."""
        return self.best_value < math.inf and self.config.task.keeps_best

    @property
    def active(self) -> bool:
        """Whether the run still trains."""
        return not self.stopped and self.divergence is None and self.failure is None

    def diverge(self, quantity: str, step: int) -> None:
        """Note what was not finite, and at which step."""
        if self.active:
            self.divergence = DivergedError(quantity, step)

    def fail(self, error: Exception) -> None:
        """Note what ended this run and no other; a loss that is not finite has diverged."""
        if isinstance(error, DivergedError):
            self.diverge(error.quantity, error.step)
        elif self.divergence is None and self.failure is None:
            self.failure = error

    def record(self, step: int, table: dict[str, float], extras: Mapping[str, float] | None = None) -> bool:
        """Take in a measurement; return whether the weights are the best so far."""
        self.step = step
        self.measured.add(step)
        self.history[step] = table
        if extras is not None:
            self.extras[step] = dict(extras)
        trainer = self.config.trainer
        if trainer.stop_at_train_loss is not None or trainer.stop_at_train_accuracy is not None:
            if trainer.stop_at_train_accuracy is not None and "accuracy/train" not in table:
                raise ConfigError(
                    "trainer.stop_at_train_accuracy: expected null, as this task measures no accuracy/train. Use "
                    "trainer.stop_at_train_loss."
                )
            self.stopped |= self._reaches_level(
                table.get("loss/train", math.nan), table.get("accuracy/train", 0.0)
            )
        value = table.get(self.monitored(table).format(split="val"))
        if value is None:
            return False
        if self.wants_more(table):
            value = -value
        if value < self.best_value:
            self.best_value, self.best_step, self.stale = value, step, 0
            return self.has_best
        self.stale += 1
        if trainer.early_stopping_patience is not None:
            self.stopped |= self.stale >= trainer.early_stopping_patience or not math.isfinite(value)
        return False

    def monitored(self, table: Mapping[str, float]) -> str:
        """Return the tag of what selects the best weights, with ``{split}`` in place of a split.

        Raises:
            ConfigError: If a quantity was asked for that is not among those of ``table``.
        """
        return monitored_tag(self.config.task.monitor, table)

    def wants_more(self, table: Mapping[str, float]) -> bool:
        """Return whether a larger value of what is monitored is better."""
        mode = getattr(self.config.task, "monitor_mode", None)
        quantity = self.monitored(table).removesuffix("/{split}")
        return (
            mode == "max"
            if mode is not None
            else self.higher_is_better.get(quantity, is_better_when_higher(quantity))
        )

    def ends_at(self, step: int, loss: float, accuracy: float) -> bool:
        """Whether a run without early stopping is over at a step, by its loss and accuracy in training."""
        return step >= self.config.num_steps or self._reaches_level(loss, accuracy)

    def _reaches_level(self, loss: float, accuracy: float) -> bool:
        lowest, highest = self.config.trainer.stop_at_train_loss, self.config.trainer.stop_at_train_accuracy
        return (lowest is not None and loss <= lowest) or (highest is not None and accuracy >= highest)

    def best_steps(self, number: int) -> list[int]:
        """Return the steps of so many of the best measurements by what is monitored on val, the best one first."""
        values = {}
        for step, table in self.history.items():
            value = table.get(self.monitored(table).format(split="val"))
            if value is not None and step > 0:
                values[step] = -value if self.wants_more(table) else value
        return sorted(values, key=values.__getitem__)[:number]

    def best_measurement(self) -> tuple[int, dict[str, float]]:
        """Return step and table of the best weights; of the latest ones where nothing is monitored."""
        step = self.best_step if self.has_best else max(self.history, default=0)
        return step, self.history.get(step, {})

    def result(
        self,
        *,
        num_parameters: int,
        num_train_points: int,
        epochs: float | None = None,
        num_classes: int | None = None,
        last: dict[str, float] | None = None,
        best: dict[str, float] | None = None,
    ) -> Result:
        """Return what the run found, compared with what was published.

        Args:
            num_parameters: Trainable numbers.
            num_train_points: Points that trained.
            epochs: How often they were seen; None for what the steps of a point set say.
            num_classes: Number of classes, where there are some.
            last: Scores of the last weights where they are more than the latest measurement.
            best: The same of the best weights.
        """
        table = last or self.history[self.step]
        if epochs is None:
            batches = self.step * self.config.trainer.accumulate_grad_batches
            epochs = batches / self.config.data.steps_per_epoch
        result = Result(
            step=self.step,
            epochs=epochs,
            num_parameters=num_parameters,
            num_train_points=num_train_points,
            num_classes=num_classes,
            last=table,
            best_step=self.best_step if self.has_best else None,
            monitor=self.monitored(table),
            wants_more=self.wants_more(table),
            history=self.history,
            bounds=self.bounds,
            measures=self.measures,
            remarks=self.remarks,
        )
        if self.has_best:
            result.best = best or self.history[self.best_step]
        result.compare(self.config.published)
        return result

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "history": self.history,
            "best_value": self.best_value,
            "best_step": self.best_step,
            "stale": self.stale,
        }

    def restore(self, step: int, callbacks: Mapping[str, Any]) -> None:
        """Continue from the step and the callbacks' states of a checkpoint, also of the first edition."""
        state = callbacks.get(STATE_KEY) or _first_edition(callbacks)
        self.step = step
        self.history = dict(state["history"])
        self.best_value, self.best_step = float(state["best_value"]), int(state["best_step"])
        self.stale = int(state["stale"])
        if self.anew:
            self.best_value, self.best_step, self.stale = math.inf, 0, 0


def final_scores(task: nn.Module, data: Any, step: int) -> dict[str, float] | None:
    """Return what a task with a method ``final_scores(data, step)`` measures at the end only; None of others."""
    score: Callable[[Any, int], dict[str, float]] | None = getattr(task, "final_scores", None)
    if score is None:
        return None
    task.to(data.splits["train"].points.device).eval()
    return score(data, step)


def conclude(
    recorder: Recorder,
    task: nn.Module,
    data: Any,
    best_weights: Callable[[], Weights],
    *,
    num_train_points: int,
    epochs: float | None = None,
    size: int | None = None,
) -> Result:
    """Return the result of a run that is over, whose task holds the last weights.

    A task with a method ``final_scores(data, step)`` is measured by it once more, at the last and at the best
    weights: for what is too slow to measure all along.

    Args:
        recorder: The books of the run.
        task: Holds the last weights.
        data: Its data module.
        best_weights: Reads the best weights.
        num_train_points: Points that trained.
        epochs: How often they were seen; None for what the steps of a point set say.
        size: Trainable numbers, where the task does not hold all of them any more.

    Raises:
        DivergedError: If the last weights cannot be measured.
    """
    found: dict[str, dict[str, float]] = {}
    if (last := final_scores(task, data, recorder.step)) is not None:
        found["last"] = last
        if recorder.has_best:
            last_weights = {name: tensor.clone() for name, tensor in task.state_dict().items()}
            task.load_state_dict(best_weights().weights)
            found["best"] = final_scores(task, data, recorder.step) or {}
            task.load_state_dict(last_weights)
    return recorder.result(
        num_parameters=num_parameters(task) if size is None else size,
        num_train_points=num_train_points,
        epochs=epochs,
        num_classes=getattr(data, "num_classes", None) or None,
        **found,
    )


def _first_edition(callbacks: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a checkpoint that kept its books in several callbacks."""
    best = callbacks.get("Checkpoints", {})
    waited = [value["wait_count"] for key, value in callbacks.items() if key.startswith("EarlyStopping")]
    return {
        "history": callbacks.get("GapCurves", {}).get("history", {}),
        "best_value": best.get("best_loss", math.inf),
        "best_step": best.get("best_step", 0),
        "stale": waited[0] if waited else 0,
    }
