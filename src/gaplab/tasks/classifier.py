"""The classifier: a network that tells the classes of points apart, and how often it is right."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gaplab.config.optimizer import OptimizerConfig
from gaplab.data.loader import Batch
from gaplab.metrics.gap import SplitScore
from gaplab.metrics.scorecard import scorecard
from gaplab.networks import num_parameters
from gaplab.networks.hidden_outputs import hidden_outputs
from gaplab.tasks.losses_task import LossesTask
from gaplab.tasks.optimizers import l2_penalty

LossFn = Callable[[Tensor, Tensor], Tensor]


class Classifier(LossesTask):
    """Trains a network to tell the classes of points apart.

    Args:
        network: Maps points [P, D] to logits [P, C].
        loss_fn: Maps logits [P, C] and labels [P] to training losses [P].
        score_fn: The same for the losses that are reported (without label smoothing).
        optimizer: The ``optimizer`` section.
        num_steps: Optimiser steps of the run; the learning-rate schedule ends there.
        train_seed: Seed of the dropout masks.
    """

    def __init__(
        self,
        network: nn.Module,
        loss_fn: LossFn,
        score_fn: LossFn,
        *,
        optimizer: OptimizerConfig,
        num_steps: int,
        train_seed: int,
    ) -> None:
        super().__init__(network, optimizer=optimizer, num_steps=num_steps, train_seed=train_seed)
        self.loss_fn = loss_fn
        self.score_fn = score_fn

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return self.loss_fn(self(batch.points), batch.labels)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        logits = self(batch.points)
        return {
            "loss": self.score_fn(logits, batch.labels),
            "accuracy": logits.argmax(dim=1) == batch.labels,
        }

    def scorecard(self) -> dict[str, float]:
        """Return the table of the latest measurement; the interval of the accuracy is Hoeffding's."""
        scores = {
            name: SplitScore.of_means(split["loss"], split["accuracy"]) for name, split in self.scores.items()
        }
        return scorecard(scores, num_parameters(self), l2_penalty(self.optimizer_config, self))

    def layer_outputs(self, points: Tensor) -> dict[str, Tensor]:
        return hidden_outputs(self, self, points)
