"""What is kept for each run of an ensemble: its curves, its best weights' step, and why it stopped."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gaplab.config.schema import Config
from gaplab.errors import DivergedError


@dataclass(slots=True)
class Member:
    """The standing of one run; ``record`` applies the rules by which a run alone would stop."""

    config: Config
    step: int = 0
    """Optimiser steps taken."""
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    """Scorecards by step."""
    extras: dict[int, dict[str, float]] = field(default_factory=dict)
    """What is logged beside a scorecard, by step; only of this process."""
    best_loss: float = math.inf
    best_step: int = 0
    stale: int = 0
    """Measurements since the validation loss was last better, as early stopping counts them."""
    lowest: float = math.inf
    stopped: bool = False
    divergence: DivergedError | None = None

    @property
    def active(self) -> bool:
        return not self.stopped and self.divergence is None

    def diverge(self, quantity: str, step: int) -> None:
        """Note what was not finite, and at which step."""
        if self.active:
            self.divergence = DivergedError(quantity, step)

    def record(self, step: int, table: dict[str, float], extras: dict[str, float]) -> bool:
        """Take in a measurement; return whether the weights are the best so far."""
        self.step = step
        self.history[step], self.extras[step] = table, extras
        self._stop_by_level(table)
        tag = self.config.task.monitor.format(split="val")
        if tag not in table:
            return False
        # Lightning hands callbacks single-precision numbers: ties must be the same here.
        loss = float(np.float32(table[tag]))
        self._stop_by_patience(loss)
        if not loss < self.best_loss:
            return False
        self.best_loss, self.best_step = loss, step
        return True

    def ends_at(self, step: int, loss: float, accuracy: float) -> bool:
        """Whether a run without early stopping is over at a step, by its loss and accuracy in training."""
        return step >= self.config.num_steps or self._reaches_level(loss, accuracy)

    def _stop_by_level(self, table: dict[str, float]) -> None:
        trainer = self.config.trainer
        if trainer.stop_at_train_loss is not None or trainer.stop_at_train_accuracy is not None:
            reached = self._reaches_level(table["loss/train"], table["accuracy/train"])
            self.stopped = self.stopped or reached

    def _reaches_level(self, loss: float, accuracy: float) -> bool:
        lowest, highest = self.config.trainer.stop_at_train_loss, self.config.trainer.stop_at_train_accuracy
        return (lowest is not None and loss <= lowest) or (highest is not None and accuracy >= highest)

    def _stop_by_patience(self, loss: float) -> None:
        patience = self.config.trainer.early_stopping_patience
        if patience is None:
            return
        if not math.isfinite(loss):
            self.stopped = True
        elif loss < self.lowest:
            self.lowest, self.stale = loss, 0
        else:
            self.stale += 1
            self.stopped = self.stopped or self.stale >= patience

    def restore(self, step: int, callbacks: dict[str, Any]) -> None:
        """Continue from what a checkpoint of the run says."""
        self.step = step
        self.history = dict(callbacks.get("GapCurves", {}).get("history", {}))
        best = callbacks.get("Checkpoints", {})
        self.best_loss, self.best_step = best.get("best_loss", math.inf), best.get("best_step", 0)
        for key, value in callbacks.items():
            if key.startswith("EarlyStopping"):
                self.stale, self.lowest = int(value["wait_count"]), float(value["best_score"])
