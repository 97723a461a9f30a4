"""Flow matching: the velocity that carries noise to data along straight lines, and samples that follow it.

Sources: Lipman et al. 2023 (conditional flow matching with the optimal-transport path) and Liu et al. 2023.
"""

import torch
from torch import Tensor

from gaplab.data.loader import Batch
from gaplab.tasks.point_sampler import PointSampler


class FlowMatching(PointSampler):
    """Trains the velocity v(x_t, t) of points x_t = (1 - t) z + t x towards x - z, where z is normal and t uniform.

    Its gap is that of this squared error.
    """

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        shape = batch.global_batch_size, batch.points.shape[1]
        noise = batch.part(torch.randn(shape, generator=generator)).to(batch.points)
        time = batch.part(torch.rand(shape[0], 1, generator=generator)).to(batch.points)
        points = batch.points / self.scale
        velocity = self(torch.cat([(1 - time) * noise + time * points, time], dim=1))
        return (velocity - (points - noise)).square().mean(dim=1)

    def transport(self, noise: Tensor) -> Tensor:
        """Return where the flow carries noise, by Heun's method."""
        step = 1 / self.section.sampling_steps

        def velocity(points: Tensor, time: float) -> Tensor:
            moved: Tensor = self(torch.cat([points, torch.full_like(points[:, :1], time)], dim=1))
            return moved

        points = noise
        for number in range(self.section.sampling_steps):
            start = velocity(points, number * step)
            end = velocity(points + step * start, (number + 1) * step)
            points = points + step * (start + end) / 2
        return points
