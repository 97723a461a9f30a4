"""The classifier: a network that tells the classes of points apart, and how often it is right."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gaplab.config.optimizer import OptimizerConfig
from gaplab.data.loader import Batch
from gaplab.errors import ConfigError
from gaplab.losses.augmentation import Augmentation, augmented_losses
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
        train_seed: Seed of the dropout masks and of what the augmentation draws.
        augmentation: What is done to points in training, never where they are scored.
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
        augmentation: Augmentation = Augmentation(),  # noqa: B008  (frozen)
    ) -> None:
        super().__init__(network, optimizer=optimizer, num_steps=num_steps, train_seed=train_seed)
        self.loss_fn = loss_fn
        self.score_fn = score_fn
        self.augmentation = augmentation
        self.draws = bool(augmentation) or type(self).losses is not Classifier.losses

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        if not self.augmentation:
            return self.loss_fn(self(batch.points), batch.labels)
        points, whole = batch.points, batch.global_batch_size
        if not isinstance(points, Tensor) or not points.is_floating_point():
            raise ConfigError(
                "task.input_noise, task.mixup: expected points in one tensor of real numbers, but those of these data "
                "are not. Set both to 0."
            )
        if self.augmentation.mixup and len(points) != whole:
            raise ConfigError(
                "task.mixup: expected one process, as a point may be mixed with any other of its batch, but this one "
                f"holds {len(points)} of {whole} points. Set trainer.devices=1."
            )
        drawn = self.augmentation.draw(whole, points.shape[1:], points.dtype, generator)
        drawn = {name: batch.part(tensor).to(points.device) for name, tensor in drawn.items()}
        return augmented_losses(self, self.loss_fn, points, batch.labels, drawn)

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
