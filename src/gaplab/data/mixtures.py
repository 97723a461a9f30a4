"""Two-dimensional targets of the GAN literature whose law is known exactly: ring, grid and swiss rolls.

Every sampler returns ``(points [P, 2] float32, labels [P] int64)``; for a mixture the label is the index of the
mode a point was drawn from. Modes are drawn independently and uniformly, as a bound on the gap assumes.
"""

import math

import torch
from torch import Tensor

RING_SCALINGS: dict[str, dict[str, float]] = {
    "pacgan": {"radius": 1.0, "std": 0.01},  # Lin et al. 2018; also Srivastava et al. 2017 (VEEGAN)
    "wgan_gp": {"radius": 2.0 / 1.414, "std": 0.02 / 1.414},  # Gulrajani et al. 2017, gan_toy.py
}
GRID_SCALINGS: dict[str, dict[str, float]] = {
    "pacgan": {"spacing": 2.0, "std": 0.05},
    "wgan_gp": {"spacing": 2.0 / 2.828, "std": 0.05 / 2.828},
}


def ring_centers(num_modes: int = 8, radius: float = 1.0) -> Tensor:
    """Centres radius·(cos, sin)(2πk/K), k = 0 .. K−1, float32 [K, 2].

    Some published generators take ``linspace(0, 2π, K)``, whose two ends are one and the same centre: K − 1
    modes, one of them with double weight.
    """
    _check_positive("num_modes", num_modes)
    _check_positive("radius", radius)
    angles = 2 * math.pi * torch.arange(num_modes, dtype=torch.float64) / num_modes
    return (radius * torch.stack([angles.cos(), angles.sin()], dim=1)).float()


def grid_centers(side: int = 5, spacing: float = 2.0) -> Tensor:
    """Centres of a square grid around the origin, row by row, float32 [side², 2]."""
    _check_positive("side", side)
    _check_positive("spacing", spacing)
    ticks = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) * spacing
    return torch.cartesian_prod(ticks, ticks).reshape(-1, 2).float()


def sample_mixture(
    num_points: int, centers: Tensor, std: float, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Points of the equally weighted mixture of isotropic normals around ``centers`` [K, 2]."""
    _check_positive("num_points", num_points)
    if not std >= 0:
        raise ValueError(f"std must be 0 or more, got {std}")
    labels = torch.randint(len(centers), (num_points,), generator=generator)
    noise = torch.randn(num_points, centers.shape[1], generator=generator)
    return centers[labels] + std * noise, labels


def sample_swiss_roll(
    num_points: int, *, noise: float = 0.25, scale: float = 7.5, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """WGAN-GP's swiss roll: coordinates 1 and 3 of sklearn's ``make_swiss_roll``, divided by 7.5.

    The angle is t = 1.5π(1 + 2U) and the point (t cos t, t sin t) + noise·N(0, I), over ``scale``. Labels: 0.
    Source: Gulrajani et al. 2017, gan_toy.py.
    """
    _check_positive("num_points", num_points)
    _check_positive("scale", scale)
    angle = 1.5 * math.pi * (1 + 2 * torch.rand(num_points, generator=generator))
    roll = torch.stack([angle * angle.cos(), angle * angle.sin()], dim=1)
    points = (roll + noise * torch.randn(num_points, 2, generator=generator)) / scale
    return points, torch.zeros(num_points, dtype=torch.int64)


def _check_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be above 0, got {value}")
