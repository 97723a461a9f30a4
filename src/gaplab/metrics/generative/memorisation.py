"""Is the generator copying its training points, and how many different points can it make?"""

import math

import torch
from torch import Tensor


def nearest_distances(points: Tensor, references: Tensor) -> Tensor:
    """Euclidean distance [P] from each point [P, D] to the nearest of ``references`` [R, D]."""
    if len(points) == 0 or len(references) == 0:
        raise ValueError(f"distances need points on both sides, got {len(points)} and {len(references)}")
    return torch.cdist(points, references, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1).values


def copying_ratio(fake: Tensor, train: Tensor, held_out: Tensor) -> float:
    """Median distance from a generated point to its nearest training point, over the same for held-out
    points.

    About 1 when generated points are as far from the training set as unseen true points are; near 0 when they
    repeat it; above 1 when they miss the data. Raises ValueError when held-out points repeat training points.
    """
    reference = nearest_distances(held_out, train).median().item()
    if reference == 0:
        raise ValueError(
            "half of the held-out points coincide with training points: there is no distance to compare with"
        )
    return nearest_distances(fake, train).median().item() / reference


def nearest_split_gap(fake: Tensor, train: Tensor, held_out: Tensor) -> float:
    """Share of generated points that are nearer to the training than to the held-out points, minus ½.

    Both splits must be of equal size. 0 without memorisation, ½ for a generator that copies.
    """
    if train.shape != held_out.shape:
        raise ValueError(
            "training and held-out points must be equally many, or the larger set is nearer by number alone; "
            f"got {list(train.shape)} and {list(held_out.shape)}"
        )
    to_train, to_held_out = nearest_distances(fake, train), nearest_distances(fake, held_out)
    return ((to_train < to_held_out).double() + 0.5 * (to_train == to_held_out).double()).mean().item() - 0.5


def birthday_support_size(points: Tensor, tolerance: float) -> float:
    """Estimated number of distinct points a generator can make, from near-duplicates in one sample [P, D].

    With C pairs at distance ≤ ``tolerance`` among P(P − 1)/2, a uniform law on S points expects C = P(P −
    1)/(2S), so S = P(P − 1)/(2C); infinite without a duplicate. Compare it with the value of equally many
    true points, because continuous data have near-duplicates too. After Arora & Zhang 2017 (birthday-paradox
    test).
    """
    if len(points) < 2:
        raise ValueError(f"the birthday estimate needs at least 2 points, got {len(points)}")
    if tolerance < 0:
        raise ValueError(f"tolerance must be 0 or more, got {tolerance}")
    num_pairs = math.comb(len(points), 2)
    duplicates = int((torch.pdist(points.double()) <= tolerance).sum())
    return num_pairs / duplicates if duplicates else math.inf
