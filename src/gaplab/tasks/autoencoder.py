"""The autoencoder: two networks with a narrow middle, and how well they rebuild points that they have not seen."""

import torch
from torch import Tensor, nn

from gaplab.config.optimizer import OptimizerConfig
from gaplab.data.loader import Batch
from gaplab.losses.regression import squared_loss
from gaplab.networks.hidden_outputs import hidden_outputs
from gaplab.tasks.losses_task import LossesTask


class Autoencoder(LossesTask):
    """Trains an encoder and a decoder to rebuild points, from noisy ones if ``noise`` is not 0 (Vincent et al. 2008).

    The loss is the squared distance of a point to what is made of it. It is measured without noise.

    Args:
        encoder: Maps points [P, D] to codes [P, bottleneck].
        decoder: Maps codes back to points.
        noise: Standard deviation of the noise on what the encoder sees in training.
        optimizer: The ``optimizer`` section.
        num_steps: Optimiser steps of the run.
        train_seed: Seed of the noise and of the dropout masks.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        noise: float,
        optimizer: OptimizerConfig,
        num_steps: int,
        train_seed: int,
    ) -> None:
        network = nn.Sequential(encoder, decoder)
        super().__init__(network, optimizer=optimizer, num_steps=num_steps, train_seed=train_seed)
        self.noise = noise

    def forward(self, points: Tensor) -> Tensor:
        """Return what is made of points [P, ...], in their shape."""
        rebuilt: Tensor = self.network(points.flatten(1))
        return rebuilt.view_as(points)

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        seen = batch.points
        if self.noise:
            shape = (batch.global_batch_size, *seen.shape[1:])
            seen = seen + self.noise * batch.part(torch.randn(shape, generator=generator)).to(seen)
        return squared_loss(self(seen), batch.points)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": squared_loss(self(batch.points), batch.points)}

    def layer_outputs(self, points: Tensor) -> dict[str, Tensor]:
        return hidden_outputs(self, self, points)
