"""Diffusion: a denoiser of points with noise of every size, and samples that follow it from noise to points.

Source: Karras et al. 2022, "Elucidating the design space of diffusion-based generative models" (preconditioning and
weights of Table 1, Heun's method of Algorithm 1). Noise is drawn log-uniformly here: modes may be a hundred times finer
than the data, where the normal logarithms of that paper, made for images, hardly ever fall.
"""

import itertools
import math

import torch
from torch import Tensor

from gaplab.data.loader import Batch
from gaplab.tasks.point_sampler import PointSampler

RHO = 7
"""Steps are even in the seventh root of the noise: short where it is small."""


class Diffusion(PointSampler):
    """Trains D(x + σz; σ) towards x, where z is normal and log σ is uniform over ``noise_levels``.

    D(y; σ) = y / (1 + σ²) + σ / √(1 + σ²) F(y / √(1 + σ²), log σ / 4) with the network F, for points x of standard
    deviation 1. Its gap is that of the squared error of F, that is of D over σ² / (1 + σ²), so that every noise counts.
    """

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        low, high = (math.log(level) for level in self.section.noise_levels)
        shape = batch.global_batch_size, batch.points.shape[1]
        noise = batch.part(torch.randn(shape, generator=generator)).to(batch.points)
        share = batch.part(torch.rand(shape[0], 1, generator=generator)).to(batch.points)
        sigma = (low + (high - low) * share).exp()
        points = batch.points / self.scale
        noisy = points + sigma * noise
        # (x - c_skip y) / c_out, without the difference of two near numbers where σ is small.
        target = (sigma * points - noise) / (1 + sigma.square()).sqrt()
        return (self.residual(noisy, sigma) - target).square().mean(dim=1)

    def residual(self, noisy: Tensor, sigma: Tensor) -> Tensor:
        """Return F, [P, D], of points [P, D] with noise of size σ, [P, 1]."""
        inputs = torch.cat([noisy / (1 + sigma.square()).sqrt(), sigma.log() / 4], dim=1)
        found: Tensor = self(inputs)
        return found

    def transport(self, noise: Tensor) -> Tensor:
        """Return the ends of dy/dσ = (y - D(y; σ)) / σ from noise of the largest size, by Heun's method."""
        low, high = self.section.noise_levels
        places = torch.linspace(0, 1, self.section.sampling_steps, dtype=torch.float64)
        levels = (high ** (1 / RHO) + places * (low ** (1 / RHO) - high ** (1 / RHO))) ** RHO
        points = noise * math.hypot(1, high)

        def slope(points: Tensor, sigma: float) -> Tensor:
            found = self.residual(points, torch.full_like(points[:, :1], sigma))
            return (sigma * points - math.sqrt(1 + sigma**2) * found) / (1 + sigma**2)

        for sigma, smaller in itertools.pairwise([*levels.tolist(), 0.0]):
            start = slope(points, sigma)
            moved = points + (smaller - sigma) * start
            points = (
                points + (smaller - sigma) * (start + slope(moved, smaller)) / 2 if smaller > 0 else moved
            )
        return points
