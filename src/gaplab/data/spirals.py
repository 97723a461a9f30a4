"""Spirals with any number of arms, the course notebook's own sample, and the rule that classifies them.

The law, everywhere in this file: a point of arm c (of C) at parameter t has radius t and angle
2π·(c/C + turns·t) + noise·ε with ε ~ N(0, 1), and its coordinates are x = radius·sin(angle),
y = radius·cos(angle). With turns = 2/C this is the spiral of A. Canziani's "Deep Learning" course,
notebook 04-spiral_classification: angle 2π/C·(c + 2t) + 0.2·ε.
"""

import math

import torch
from torch import Tensor


def arm_labels(num_points: int, num_arms: int) -> Tensor:
    """Labels [P] in order of the arms; the first P mod C arms get one point more than the others."""
    if num_arms < 1:
        raise ValueError(f"num_arms must be at least 1, but got {num_arms}.")
    if num_points < num_arms:
        raise ValueError(f"num_points must be at least num_arms ({num_arms}), but got {num_points}.")
    counts = [(num_points - arm + num_arms - 1) // num_arms for arm in range(num_arms)]
    return torch.cat([torch.full((count,), arm) for arm, count in enumerate(counts)])


def sample_spirals(
    num_points: int,
    *,
    num_arms: int = 3,
    noise: float = 0.2,
    turns: float | None = None,
    sampling: str = "iid",
    min_radius: float = 0.0,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw ``num_points`` points of a spiral with ``num_arms`` arms.

    Args:
        num_points: points in all; arms differ by at most one point, in both sampling modes.
        num_arms: number of arms = number of classes.
        noise: standard deviation of the angle, in radians.
        turns: revolutions of an arm from t = 0 to t = 1; None takes the notebook's 2 / num_arms.
        sampling: "grid" spaces t evenly over [min_radius, 1] on each arm, both ends included; "iid" draws
            t ~ U(min_radius, 1). Grid points are not independent, so a gap measured on them says little.
            "iid" still balances the class counts: points are independent given their label.
        min_radius: smallest t, 0 <= min_radius < 1. At 0 all arms meet at the origin.
        generator: the only source of randomness.

    Returns:
        Points [P, 2] float32 and labels [P] int64, arm after arm.
    """
    if noise < 0:
        raise ValueError(f"noise must not be negative, but got {noise}.")
    if not 0 <= min_radius < 1:
        raise ValueError(f"min_radius must lie in [0, 1), but got {min_radius}.")
    labels = arm_labels(num_points, num_arms)
    if sampling == "iid":
        t = torch.rand(num_points, generator=generator)
    elif sampling == "grid":
        counts = labels.bincount().tolist()
        t = torch.cat([torch.linspace(0, 1, count) for count in counts])
    else:
        raise ValueError(f"sampling must be 'grid' or 'iid', but got {sampling!r}.")
    radius = min_radius + (1 - min_radius) * t
    angle = torch.randn(num_points, generator=generator).mul_(noise) + arm_angle(
        radius, labels, num_arms, turns
    )
    points = torch.empty(num_points, 2)
    # To stack the coordinates takes three times as long.
    torch.mul(radius, angle.sin(), out=points[:, 0])
    torch.mul(radius, angle.cos(), out=points[:, 1])
    return points, labels


def sample_notebook_spirals(
    num_points: int = 3000, *, num_arms: int = 3, noise: float = 0.2, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The sample of the course notebook, equal to its point-by-point loop in every bit.

    Consumes one ``randn(N)`` per arm in order of the arms (N = points of that arm) and nothing else: with the
    notebook's 3 × 1000 points, three calls of ``randn(1000)``. The notebook seeds once, with 12345, and
    initialises its networks from the same stream after the data, so a caller who wants its golden numbers
    passes this generator on to the linear model and then to the ReLU model.

    Trigonometry runs in float64 because the notebook calls ``math.sin`` on each point.

    Returns:
        Points [P, 2] float32 and labels [P] int64, arm after arm.
    """
    labels = arm_labels(num_points, num_arms)
    arms = []
    for arm, count in enumerate(labels.bincount().tolist()):
        start, end = 2 * math.pi / num_arms * arm, 2 * math.pi / num_arms * (2 + arm)
        angle = torch.linspace(start, end, count) + torch.randn(count, generator=generator) * noise
        direction = torch.stack((angle.double().sin(), angle.double().cos()), dim=1).float()
        arms.append(torch.linspace(0, 1, count)[:, None] * direction)
    return torch.cat(arms), labels


def arm_angle(radius: Tensor, labels: Tensor, num_arms: int, turns: float | None = None) -> Tensor:
    """Noise-free angle 2π·(c/C + turns·r), in radians, at each radius of each label's arm (broadcasting)."""
    turns = 2 / num_arms if turns is None else turns
    return 2 * math.pi * (labels / num_arms + turns * radius)


def nearest_arm(points: Tensor, num_arms: int, turns: float | None = None) -> Tensor:
    """Label [P] of the arm nearest in angle to each point [P, 2].

    This is the Bayes rule of ``sample_spirals`` for balanced arms: at a given radius the arms are equally
    likely and their angles are normal with equal spread around centres 2π/C apart. The origin goes to arm 0.
    """
    excess = _wrap(_angle(points) - arm_angle(points.norm(dim=1), points.new_zeros(()), num_arms, turns))
    return (excess * num_arms / (2 * math.pi)).round().long() % num_arms


def arm_residual(
    points: Tensor, num_arms: int, labels: Tensor | None = None, turns: float | None = None
) -> Tensor:
    """Angle [P] in [-π, π) from the middle of each point's arm, θ − 2π·(c/C + turns·r), in radians.

    For true data it is the wrapped noise, N(0, noise²). Without ``labels`` the nearest arm is taken, which is
    the distance to the arm for generated points that carry no label.
    """
    labels = nearest_arm(points, num_arms, turns) if labels is None else labels
    return _wrap(_angle(points) - arm_angle(points.norm(dim=1), labels, num_arms, turns))


def _angle(points: Tensor) -> Tensor:
    # Adding 0.0 turns -0.0 into 0.0: atan2 would tell the arms apart by the sign of zero at the origin.
    points = points + 0.0
    return torch.atan2(points[:, 0], points[:, 1])


def _wrap(angle: Tensor) -> Tensor:
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
