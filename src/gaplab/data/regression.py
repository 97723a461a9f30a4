"""Laws with real targets: a function of the point that is known, plus Gaussian noise of known variance."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

MeanFunction = Callable[[Tensor], Tensor]
"""Points [P, D] to mean targets [P] or [P, T]."""


def sine_mean(points: Tensor, frequency: float, num_targets: int) -> Tensor:
    """Target t is the sum over coordinates of sin(pi (frequency x + t / T)), over the root of their number.

    With one coordinate and one target that is sin(pi frequency x), [P]; several targets are its shifts, [P, T].
    """
    shifts = torch.arange(num_targets).to(points) / num_targets
    waves = (math.pi * (frequency * points[:, :, None] + shifts)).sin()
    means = waves.sum(dim=1) / math.sqrt(points.shape[1])
    return means[:, 0] if num_targets == 1 else means


def friedman_mean(points: Tensor) -> Tensor:
    """10 sin(pi x1 x2) + 20 (x3 − 1/2)² + 10 x4 + 5 x5: further coordinates do not matter.

    Source: Friedman, Multivariate adaptive regression splines, Annals of Statistics 1991, section 4.3.
    """
    x = points.T
    return 10 * (math.pi * x[0] * x[1]).sin() + 20 * (x[2] - 0.5).square() + 10 * x[3] + 5 * x[4]


def sample_noisy(
    num_points: int,
    mean: MeanFunction,
    dimension: int,
    ends: tuple[float, float],
    *,
    noise: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw points uniformly from a cube, and targets around their mean.

    Args:
        num_points: P.
        mean: The function to be learned.
        dimension: D.
        ends: Smallest and largest coordinate.
        noise: Standard deviation of every target around its mean.
        generator: Source of points, then of noise.

    Returns:
        Points [P, D] and targets [P] or [P, T], as ``mean`` has it.
    """
    low, high = ends
    points = low + (high - low) * torch.rand(num_points, dimension, generator=generator)
    means = mean(points)
    return points, means + noise * torch.randn(means.shape, generator=generator)
