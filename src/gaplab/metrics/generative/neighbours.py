"""Precision, recall, density and coverage: is what is generated real, and is what is real generated?

Both pairs compare point sets through balls around each point that reach to its k-th nearest neighbour of the
same set. Sources: Kynkäänniemi et al. 2019 (precision, recall; k = 3) and Naeem et al. 2020 (density,
coverage; k = 5).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gaplab.metrics.generative.distances import NearestPoints, squared_distances


class NeighbourScores(NamedTuple):
    """All lie in [0, 1] except density, which may exceed its expectation for equal laws, 1."""

    precision: float
    recall: float
    density: float
    coverage: float


class RealNeighbours:
    """Real points [N, D] that generated ones are compared with; their balls are measured once.

    Args:
        real: Real points.
        near: k of precision and recall.
        wide: k of density and coverage.

    Raises:
        ValueError: When there are not more points than neighbours.
    """

    def __init__(self, real: Tensor, *, near: int = 3, wide: int = 5) -> None:
        self.real, self.near, self.wide = real, near, wide
        self._near, self._wide = (radii[:, None] for radii in squared_radii(real, near, wide))

    def scores(self, fake: Tensor) -> NeighbourScores:
        """Compare generated points [M, D], in one pass over their distances to the real ones.

        Precision is the share of generated points inside some ball of the real ones, and recall the reverse, for balls
        that reach to the k-th nearest neighbour, k = ``near``. Density counts the balls of real points around a
        generated one, over k, and coverage is the share of real balls that hold a generated point, k = ``wide``.

        Raises:
            ValueError: When there are not more points than neighbours, or their dimension is another one.
        """
        (fake_near,) = squared_radii(fake, self.near)
        inside_real = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
        inside_fake, in_wide, row = [], [], 0
        for squared in squared_distances(self.real, fake):
            rows = slice(row, row + len(squared))
            row += len(squared)
            # The smallest difference is found in half of the time that "any" takes.
            inside_real |= (squared - self._near[rows]).amin(dim=0) < 0
            inside_fake.append((squared - fake_near).amin(dim=1) < 0)
            in_wide.append((squared < self._wide[rows]).sum(dim=1))
        balls = torch.cat(in_wide)
        return NeighbourScores(
            precision=inside_real.double().mean().item(),
            recall=torch.cat(inside_fake).double().mean().item(),
            density=balls.sum().item() / (self.wide * len(fake)),
            coverage=(balls > 0).double().mean().item(),
        )


def squared_radii(points: Tensor, *numbers: int) -> list[Tensor]:
    """Squared distances [P] to the k-th nearest neighbour, itself excluded, for each k of ``numbers``.

    Raises:
        ValueError: When there are not more than k points.
    """
    if min(numbers) < 1:
        raise ValueError(f"num_neighbours must be at least 1, got {min(numbers)}")
    most = max(numbers)
    if len(points) <= most:
        raise ValueError(
            f"{most} neighbours need more than {most} points, got {len(points)}; "
            "draw more samples or ask for fewer neighbours"
        )
    # The nearest of all is the point itself.
    found = NearestPoints(points).squared(points, most + 1)
    return [found[:, number] for number in numbers]
