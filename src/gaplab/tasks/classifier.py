"""The classifier: a network, a loss, and the measurement of all splits at equal weights."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gaplab.config.optimizer import OptimizerConfig
from gaplab.data.loader import Batch
from gaplab.errors import DivergedError
from gaplab.metrics.gap import SplitScores
from gaplab.metrics.scorecard import scorecard
from gaplab.networks import Dropout, draw_dropout_masks, num_parameters
from gaplab.networks.hidden_outputs import hidden_outputs
from gaplab.randomness import make_generator
from gaplab.tasks.optimizers import (
    build_optimizer,
    build_schedule,
    l2_penalty,
    reapply_hparams,
)
from gaplab.tasks.task import Task

LossFn = Callable[[Tensor, Tensor], Tensor]


class Classifier(Task):
    """Trains a network to tell the classes of points apart.

    Args:
        network: Maps points [P, D] to logits [P, C].
        loss_fn: Maps logits [P, C] and labels [P] to training losses [P].
        score: The same for the losses that are reported (without label smoothing).
        optimizer: The ``optimizer`` section.
        num_steps: Optimiser steps of the run; the learning-rate schedule ends there.
        train_seed: Seed of the dropout masks.
    """

    quantities: ClassVar = {"loss/train_batch": "the loss"}

    def __init__(
        self,
        network: nn.Module,
        loss_fn: LossFn,
        score: LossFn,
        *,
        optimizer: OptimizerConfig,
        num_steps: int,
        train_seed: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss_fn = loss_fn
        self.score = score
        self.optimizer_config = optimizer
        self.num_steps = num_steps
        self.train_seed = train_seed
        self.uses_dropout = any(isinstance(module, Dropout) for module in network.modules())
        self._split_names: list[str] = []
        self._meters: list[SplitScores] = []

    def forward(self, points: Tensor) -> Tensor:
        """Return logits [P, C] of points [P, D]."""
        logits: Tensor = self.network(points)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean training loss over this process's part of the batch, a scalar."""
        if self.uses_dropout:
            self.draw_dropout(batch)
        # A part may be empty, where there are more processes than points left in an epoch.
        loss = self.loss_fn(self(batch.points), batch.labels).sum() / max(len(batch.labels), 1)
        self.note("loss/train_batch", batch, loss)
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Limit the norm of the whole gradient, and do what the Trainer's flags ask for."""
        if self.optimizer_config.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.optimizer_config.max_grad_norm)
        if gradient_clip_val:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def draw_dropout(self, batch: Batch) -> None:
        """Draw the masks of the whole batch and keep those of this process's part."""
        draw_dropout_masks(
            self.network, batch.global_batch_size, make_generator(self.train_seed, "dropout", batch.step)
        )
        for layer in self.network.modules():
            if isinstance(layer, Dropout):
                layer.mask = layer.mask[batch.offset : batch.offset + len(batch.labels)]

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.optimizer_config, self.network.parameters())
        schedule = build_schedule(self.optimizer_config, optimizer, self.num_steps)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        schedule = self.lr_schedulers()
        reapply_hparams(
            self.optimizer_config,
            self.trainer.optimizers[0],
            schedule if isinstance(schedule, LRScheduler) else None,
        )

    def layer_outputs(self, points: Tensor) -> dict[str, Tensor]:
        return hidden_outputs(self, self, points)

    def scorecard(self) -> dict[str, float]:
        """Return the table of the latest measurement."""
        return scorecard(
            self.scores, num_parameters(self.network), l2_penalty(self.optimizer_config, self.network)
        )

    def on_validation_epoch_start(self) -> None:
        self._split_names = list(self.trainer.datamodule.splits)  # type: ignore[attr-defined]
        self._meters = [SplitScores().to(self.device) for _ in self._split_names]

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        points, labels = batch
        logits = self(points)
        self._meters[dataloader_idx].update(self.score(logits, labels), logits.argmax(dim=1) == labels)

    def on_validation_epoch_end(self) -> None:
        """Keep the scores of all splits and hand them to Lightning's callbacks.

        Raises:
            DivergedError: If the latest step of training spoilt the weights, which no batch has seen yet.
        """
        self.scores = {
            name: meter.compute() for name, meter in zip(self._split_names, self._meters, strict=True)
        }
        if self.trainer.state.fn == "fit" and not math.isfinite(self.scores["train"].loss):
            raise DivergedError("the loss on the training set", self.trainer.global_step)
        for name, score in self.scores.items():
            self.log(f"loss/{name}", score.loss, logger=False)
            self.log(f"accuracy/{name}", score.accuracy, logger=False)
