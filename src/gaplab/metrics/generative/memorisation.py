"""Is the generator copying its training points, and how many different points can it make?"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gaplab.metrics.generative.distances import NearestPoints

FEWEST_IN_CELL = 10
"""Generated points of a cell without which its z-score says nothing."""


class CopyingScores(NamedTuple):
    """Whether generated points are training points."""

    ratio: float
    """Median distance from a generated point to its nearest training point, over the same for held-out points.

    About 1 when generated points are as far from the training set as unseen true points are; near 0 when they repeat
    it; above 1 when they miss the data."""
    split_gap: float
    """Share of generated points that are nearer to the training than to the held-out points, minus ½.

    0 without memorisation, ½ for a generator that copies."""


class CopyingDistances:
    """How far points are from training points, in two scores; what these points alone decide is computed once.

    Args:
        train: Training points [R, D].
        held_out: As many points of the same law.

    Raises:
        ValueError: For no points, or for sets of different size: the larger one is nearer by number alone.
    """

    def __init__(self, train: Tensor, held_out: Tensor) -> None:
        if train.shape != held_out.shape or len(train) == 0:
            raise ValueError(
                "training and held-out points must be equally many, or the larger set is nearer by number alone; "
                f"got {list(train.shape)} and {list(held_out.shape)}"
            )
        self._train, self._held_out = NearestPoints(train), NearestPoints(held_out)
        self._usual = self._nearest(held_out, self._train).median().item()

    def scores(self, fake: Tensor) -> CopyingScores:
        """Score generated points [P, D].

        Raises:
            ValueError: For no points, or when half of the held-out points coincide with training points.
        """
        if len(fake) == 0:
            raise ValueError("distances need generated points, got none")
        if self._usual == 0:
            raise ValueError(
                "half of the held-out points coincide with training points: there is no distance to compare with"
            )
        to_train, to_held_out = self._nearest(fake, self._train), self._nearest(fake, self._held_out)
        nearer = (to_train < to_held_out).double() + 0.5 * (to_train == to_held_out).double()
        return CopyingScores(to_train.median().item() / self._usual, nearer.mean().item() - 0.5)

    @staticmethod
    def _nearest(points: Tensor, references: NearestPoints) -> Tensor:
        return references.squared(points, 1)[:, 0].sqrt_()


def nearest_sample(points: Tensor) -> float:
    """Median distance from one of the points [P, D] to the nearest other one.

    Smaller than for equally many true points where a generator draws thin pieces, however wide these are spread. Raises
    ImportError without SciPy.
    """
    distances, _ = _tree(points).query(points.cpu().numpy(), k=2)
    return torch.as_tensor(distances[:, 1]).median().item()


class CopyingTest:
    """C_T: are generated points nearer to the training points than held-out ones are? Far below 0: copied.

    In every cell of the plane the distances to the nearest training point are ranked, and the rank sum of the generated
    ones is turned into a z-score (Mann and Whitney); C_T is the mean over cells, by their share of the held-out points.
    Near 0 for samples of the law, above 0 for samples that miss the data. Cells are those of ``num_cells`` random
    training points; cells without a held-out point or with fewer than ten generated ones do not count.

    Source: Meehan, Chaudhuri & Dasgupta 2020, who take cells of k-means. Raises ImportError without SciPy.

    Args:
        train: Training points [N, D].
        held_out: Points of the same law, [M, D].
        num_cells: Cells.
        generator: Chooses their centres.
    """

    def __init__(
        self, train: Tensor, held_out: Tensor, *, num_cells: int = 10, generator: torch.Generator
    ) -> None:
        self._train = _tree(train)
        chosen = torch.randperm(len(train), generator=generator)[:num_cells]
        self._centers = train[chosen.to(train.device)]
        self._held_out, self._cells = self._distances_and_cells(held_out)

    def __call__(self, fake: Tensor) -> float:
        """Return C_T of generated points [P, D]; NaN where no cell counts: all lie where no held-out point does."""
        from scipy.stats import rankdata

        of_fake, fake_cells = self._distances_and_cells(fake)
        scores, weights = [], []
        for cell in range(len(self._centers)):
            left, right = of_fake[fake_cells == cell], self._held_out[self._cells == cell]
            m, n = len(left), len(right)
            if m < FEWEST_IN_CELL or n == 0:
                continue
            pairs_won = rankdata(torch.cat([left, right]).numpy())[:m].sum() - m * (m + 1) / 2
            scores.append((pairs_won - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12))
            weights.append(n)
        if not scores:
            return math.nan
        return float(sum(z * n for z, n in zip(scores, weights, strict=True)) / sum(weights))

    def _distances_and_cells(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Distance [P] from each point to the nearest training point, and its cell [P]."""
        centers = self._centers
        cells = torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist").argmin(dim=1)
        return torch.as_tensor(self._train.query(points.cpu().numpy())[0]), cells.cpu()


def _tree(points: Tensor) -> Any:
    """Return the tree in which neighbours among many points are found."""
    try:
        from scipy.spatial import KDTree
    except ImportError as error:
        raise ImportError("neighbours among many points need SciPy: pip install 'gaplab[metrics]'") from error
    return KDTree(points.cpu().numpy())
