"""What samples are worth where the formula of the law is known."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gaplab.metrics.generative.modes import mode_scores, mode_shapes, nearest_centers
from gaplab.metrics.generative.spirals import arm_kl, arm_residuals, polar_coordinates, radius_distance

SHAPE_POINTS = 20_000
"""Samples of which the shape of every mode is measured, at the end of a run."""
FARTHEST = 10.0
"""Standard deviations at which features stop to grow: a judge should not spend its strength on a few stray points."""


def no_scores(points: Tensor, labels: Tensor | None = None) -> dict[str, float]:
    """Return the scores of a law of which there are none."""
    return {}


@dataclass(frozen=True, slots=True)
class LawScores:
    """What a law knows of samples from it."""

    features: Callable[[Tensor], Tensor]
    """Points [P, D] to the numbers [P, F] in which a flaw shows: what its judges look at."""
    scale: float
    """Its finest length, in the units of the points."""
    scores: Callable[[Tensor, Tensor | None], dict[str, float]] = no_scores
    """Points, and labels [P] of a conditional generator, to scores."""
    shapes: Callable[[Tensor], dict[str, float]] = no_scores
    """Points, as many as can be, to scores that need many."""


def mixture_scores(centers: Tensor, std: float) -> LawScores:
    """Scores of a mixture of equal normal modes; labels are modes."""

    def features(points: Tensor) -> Tensor:
        distances, modes = nearest_centers(points, centers.to(points))
        offsets = torch.cat([points - centers.to(points)[modes], distances[:, None]], dim=1) / std
        return torch.cat([offsets.clamp(-FARTHEST, FARTHEST), modes[:, None].to(points)], dim=1)

    def scores(points: Tensor, labels: Tensor | None) -> dict[str, float]:
        result = mode_scores(points, centers.to(points), std)
        table = {
            "modes/captured": float(result.captured_modes),
            "modes/balanced": float(result.balanced_modes),
            "modes/high_quality": result.high_quality_share,
            "modes/reverse_kl": result.reverse_kl,
            "modes/std_ratio": result.within_mode_std_ratio,
        }
        if labels is not None:
            nearest = nearest_centers(points, centers.to(points))[1]
            table["modes/label_agreement"] = (nearest == labels).double().mean().item()
        return table

    def shapes(points: Tensor) -> dict[str, float]:
        result = mode_shapes(points, centers.to(points), std)
        return {f"modes/{name}": value for name, value in result._asdict().items()}

    return LawScores(features, std, scores, shapes)


def spiral_scores(num_arms: int, noise: float) -> LawScores:
    """Scores of the course spirals; labels are arms. ``noise`` is the standard deviation of the angle."""

    def features(points: Tensor) -> Tensor:
        residuals, arms = arm_residuals(points, num_arms)
        return torch.stack([residuals, polar_coordinates(points)[0], arms.to(points)], dim=1)

    def scores(points: Tensor, labels: Tensor | None) -> dict[str, float]:
        residuals, arms = arm_residuals(points, num_arms)
        table = {
            "spiral/angle_std": residuals.double().std().item(),
            "spiral/radius_distance": radius_distance(points),
            "spiral/arm_kl": arm_kl(points, num_arms),
        }
        if labels is not None:
            table["spiral/label_agreement"] = (arms == labels).double().mean().item()
        return table

    # Half way along an arm noise in the angle is so wide; without noise the arms still have a distance.
    return LawScores(features, max(noise, 0.05) / 2, scores)
