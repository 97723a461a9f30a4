"""Waves of the input beside the input: what lets a small network see structure of any fineness from the start.

Source: Tancik et al. 2020, "Fourier features let networks learn high frequency functions in low dimensional domains";
here with random phases and log-spaced frequencies, which need no guess of the one scale that matters.
"""

import math

import torch
from torch import Tensor, nn


class FourierFeatures(nn.Module):
    """Points x [P, D] to [x, √2·a·sin(W x + b)], [P, D + M]; nothing of it is trained.

    Args:
        in_features: Dimensions D of a point.
        num_features: Waves M.
        frequencies: Smallest and largest norm of a row of W, in radians per unit of x; the norms are log-spaced.
        generator: Draws the directions and then the phases b.
    """

    def __init__(
        self,
        in_features: int,
        num_features: int,
        frequencies: tuple[float, float],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        low, high = (math.log(frequency) for frequency in frequencies)
        directions = torch.randn(num_features, in_features, generator=generator, dtype=torch.float32)
        norms = torch.linspace(low, high, num_features, dtype=torch.float64).exp().float()
        phases = 2 * math.pi * torch.rand(num_features, generator=generator, dtype=torch.float32)
        self.waves: Tensor
        self.phases: Tensor
        self.amplitude: Tensor
        self.register_buffer("waves", directions / directions.norm(dim=1, keepdim=True) * norms[:, None])
        self.register_buffer("phases", phases)
        self.register_buffer("amplitude", torch.ones((), dtype=torch.float32))

    def forward(self, points: Tensor) -> Tensor:
        """Return the points with their waves, whose mean square over phases is the squared amplitude."""
        waves = torch.sin(points @ self.waves.T + self.phases)
        return torch.cat([points, math.sqrt(2) * self.amplitude * waves], dim=-1)
