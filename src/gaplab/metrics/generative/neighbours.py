"""Precision, recall, density and coverage: is what is generated real, and is what is real generated?

Both pairs compare point sets through balls around each point that reach to its k-th nearest neighbour of the
same set. Sources: Kynkäänniemi et al. 2019 (precision, recall; k = 3) and Naeem et al. 2020 (density,
coverage; k = 5).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gaplab.metrics.generative.distances import pairwise_distances, squared_distances


class NeighbourScores(NamedTuple):
    """All lie in [0, 1] except density, which may exceed its expectation for equal laws, 1."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_radii(points: Tensor, num_neighbours: int) -> Tensor:
    """Distance [P] from each point [P, D] to its k-th nearest neighbour, itself excluded.

    Raises ValueError when there are not more than k points.
    """
    if num_neighbours < 1:
        raise ValueError(f"num_neighbours must be at least 1, got {num_neighbours}")
    if len(points) <= num_neighbours:
        raise ValueError(
            f"{num_neighbours} neighbours need more than {num_neighbours} points, got {len(points)}; "
            "draw more samples or ask for fewer neighbours"
        )
    nearest = [
        block.topk(num_neighbours + 1, dim=1, largest=False).values[:, -1]
        for block in squared_distances(points, points)
    ]
    return torch.cat(nearest).sqrt_()


def precision_recall(real: Tensor, fake: Tensor, *, num_neighbours: int = 3) -> tuple[float, float]:
    """Share of generated points inside some ball of the real ones, and the reverse."""
    distances = pairwise_distances(real, fake)
    inside_real = distances < neighbour_radii(real, num_neighbours)[:, None]
    inside_fake = distances < neighbour_radii(fake, num_neighbours)[None, :]
    return inside_real.any(dim=0).double().mean().item(), inside_fake.any(dim=1).double().mean().item()


def density_coverage(real: Tensor, fake: Tensor, *, num_neighbours: int = 5) -> tuple[float, float]:
    """Balls of real points around a generated point, over k; share of real balls that hold a generated
    point.
    """
    inside = pairwise_distances(real, fake) < neighbour_radii(real, num_neighbours)[:, None]
    density = inside.sum().item() / (num_neighbours * len(fake))
    return density, inside.any(dim=1).double().mean().item()


def neighbour_scores(real: Tensor, fake: Tensor) -> NeighbourScores:
    """All four, for real points [N, D] and generated points [M, D], each with its paper's k (3 and 5)."""
    return NeighbourScores(*precision_recall(real, fake), *density_coverage(real, fake))
