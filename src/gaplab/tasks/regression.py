"""Regression: a network that learns real targets, and how much of their variance it explains."""

import torch
from torch import Tensor, nn
from torchmetrics import R2Score

from gaplab.config.optimizer import OptimizerConfig
from gaplab.data.loader import Batch
from gaplab.losses.regression import as_matrix
from gaplab.networks.hidden_outputs import hidden_outputs
from gaplab.tasks.classifier import LossFn
from gaplab.tasks.losses_task import LossesTask


class Regression(LossesTask):
    """Trains a network to predict real targets.

    Args:
        network: Maps points [P, ...] to outputs [P, T].
        loss_fn: Maps outputs [P, T] and targets [P, T] to losses [P].
        bayes: The smallest expected loss, where the law of the data is known; None elsewhere.
        optimizer: The ``optimizer`` section.
        num_steps: Optimiser steps of the run.
        train_seed: Seed of the dropout masks.
    """

    metrics = {"r2": R2Score()}  # noqa: RUF012

    def __init__(
        self,
        network: nn.Module,
        loss_fn: LossFn,
        bayes: float | None,
        *,
        optimizer: OptimizerConfig,
        num_steps: int,
        train_seed: int,
    ) -> None:
        super().__init__(network, optimizer=optimizer, num_steps=num_steps, train_seed=train_seed)
        self.loss_fn = loss_fn
        self.bayes = bayes

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return self.loss_fn(*self.predictions(batch))

    def predictions(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return as_matrix(self(batch.points)), as_matrix(batch.labels)

    def scorecard(self) -> dict[str, float]:
        """Return the table of the latest measurement, with ``bayes/loss`` where it is known."""
        return super().scorecard() | ({} if self.bayes is None else {"bayes/loss": self.bayes})

    def layer_outputs(self, points: Tensor) -> dict[str, Tensor]:
        return hidden_outputs(self, self, points)
