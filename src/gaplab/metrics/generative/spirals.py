"""Statistics of points on the course spiral: angle 2π/C·(c + 2t) + noise·ε and radius t, t in [0, 1].

A point is (x, y) = r·(sin θ, cos θ), as in the notebook, so θ = atan2(x, y).
"""

import math

import torch
from torch import Tensor


def polar_coordinates(points: Tensor) -> tuple[Tensor, Tensor]:
    """Radius r [P] and angle θ [P] in (−π, π] with (x, y) = r·(sin θ, cos θ), for points [P, 2]."""
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"spiral statistics need points [P, 2], got {list(points.shape)}")
    x, y = (points + 0.0).unbind(dim=1)  # −0 becomes +0: atan2 tells the two apart
    return points.norm(dim=1), torch.atan2(x, y)


def arm_residuals(points: Tensor, num_arms: int) -> tuple[Tensor, Tensor]:
    """Signed angle [P] in radians from each point to its nearest arm, and that arm's index [P].

    The arm's angle at radius r is 2π/C·(c + 2r); the residual is wrapped and lies within ±π/C. For true
    points it is normal with the data's noise as standard deviation, as long as π/C is several times that
    noise.
    """
    _check_arms(num_arms)
    radius, angle = polar_coordinates(points)
    turns = (angle - 4 * math.pi * radius / num_arms) * num_arms / (2 * math.pi)
    nearest = turns.round()
    return (turns - nearest) * 2 * math.pi / num_arms, nearest.long().remainder(num_arms)


def radius_distance(points: Tensor) -> float:
    """Kolmogorov–Smirnov distance between the radii and U(0, 1), in [0, 1]."""
    radius = polar_coordinates(points)[0].double().clamp(max=1).sort().values
    if len(radius) == 0:
        raise ValueError("the radius distance needs at least one point, got none")
    steps = torch.arange(len(radius) + 1, dtype=torch.float64, device=radius.device) / len(radius)
    return max((steps[1:] - radius).max().item(), (radius - steps[:-1]).max().item())


def arm_kl(points: Tensor, num_arms: int) -> float:
    """KL(p̂ ‖ uniform) in nats of the histogram of nearest arms."""
    if len(points) == 0:
        raise ValueError("the arm divergence needs at least one point, got none")
    _, arms = arm_residuals(points, num_arms)
    shares = torch.bincount(arms, minlength=num_arms).double() / len(points)
    return math.log(num_arms) + torch.special.xlogy(shares, shares).sum().item()


def _check_arms(num_arms: int) -> None:
    if num_arms < 1:
        raise ValueError(f"num_arms must be at least 1, got {num_arms}")
