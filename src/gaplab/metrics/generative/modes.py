"""Mode coverage of a generator on a mixture with known centres: the protocol of VEEGAN and PacGAN, and more.

A sample belongs to its nearest centre and is *high quality* when it lies less than 3 standard deviations
away. Because "captured" asks for one sample of thousands only, balance is measured beside it.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class ModeScores(NamedTuple):
    """Scores of one set of samples; shares are in [0, 1]."""

    captured_modes: int
    """Modes to which at least one high-quality sample is nearest."""
    balanced_modes: int
    """Modes with at least 20 % of their fair share of the high-quality samples."""
    high_quality_share: float
    reverse_kl: float
    """ln K minus the entropy of the histogram of high-quality samples, in nats; NaN without such samples."""
    within_mode_std_ratio: float
    """Spread of the high-quality samples around their own mode's mean, over what a truncated normal would
    have: 1 for a perfect sampler, near 0 when every mode has collapsed to a point; NaN without two samples
    anywhere."""


def nearest_centers(points: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Distance [P] of each point [P, D] to its nearest centre of [K, D], and that centre's index [P]."""
    distances, indices = torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
    return distances, indices


def mode_histogram(points: Tensor, centers: Tensor, std: float, *, num_stds: float = 3.0) -> Tensor:
    """Number of high-quality points of each mode, int64 [K].

    Raises ValueError when two centres coincide: published evaluators count such a ring's 7 modes as 8.
    """
    if not std > 0:
        raise ValueError(f"std must be above 0, got {std}")
    if len(points) == 0:
        raise ValueError("mode scores need at least one sample, got none")
    if len(centers) > 1 and torch.pdist(centers).min() < std:
        raise ValueError(
            f"two of the {len(centers)} centers lie within one std ({std}) of each other, so modes cannot "
            "be told apart; a ring made by linspace(0, 2π, K) repeats its first centre"
        )
    distances, indices = nearest_centers(points, centers)
    return torch.bincount(indices[distances < num_stds * std], minlength=len(centers))


def reverse_kl(histogram: Tensor) -> float:
    """KL(p̂ ‖ uniform) = ln K − entropy(p̂) in nats, for counts [K]; NaN when all counts are 0."""
    counts = histogram.double()
    shares = counts / counts.sum()
    return math.log(len(counts)) + torch.special.xlogy(shares, shares).sum().item()


def balanced_modes(histogram: Tensor, *, share_of_fair: float = 0.2) -> int:
    """Modes of counts [K] that hold at least ``share_of_fair`` of total / K (and at least one sample)."""
    fair = histogram.sum().item() / len(histogram)
    return int(((histogram >= share_of_fair * fair) & (histogram > 0)).sum())


def within_mode_std_ratio(points: Tensor, centers: Tensor, std: float, *, num_stds: float = 3.0) -> float:
    """Pooled standard deviation of the high-quality points around their mode's mean, over its expectation.

    Pooling is over modes and coordinates with Σ(n_k − 1) degrees of freedom. In two dimensions the expected
    variance of a normal kept to r < c·σ is σ²·(1 − (c²/2)·e^{−c²/2} / (1 − e^{−c²/2})), c = ``num_stds``;
    .9495σ² at c = 3. Raises ValueError unless points are two-dimensional.
    """
    if points.shape[1] != 2:
        raise ValueError(f"the within-mode ratio is defined for points [P, 2], got {list(points.shape)}")
    distances, indices = nearest_centers(points, centers)
    kept = distances < num_stds * std
    offsets = (points - centers[indices])[kept].double()
    labels = indices[kept]
    counts = torch.bincount(labels, minlength=len(centers)).double()
    sums = offsets.new_zeros(len(centers), 2).index_add(0, labels, offsets)
    means = sums / counts.clamp(min=1)[:, None]
    freedom = 2 * (counts - 1).clamp(min=0).sum().item()
    if freedom == 0:
        return math.nan
    variance = (offsets - means[labels]).square().sum().item() / freedom
    half_square = num_stds**2 / 2
    expected = std**2 * (1 - half_square * math.exp(-half_square) / -math.expm1(-half_square))
    return math.sqrt(variance / expected)


def mode_scores(points: Tensor, centers: Tensor, std: float) -> ModeScores:
    """All mode scores of generated points [P, 2]; non-finite points are nobody's high-quality sample.

    Source: Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018 (PacGAN), who draw 2,500 points.
    """
    histogram = mode_histogram(points, centers, std)
    return ModeScores(
        captured_modes=int((histogram > 0).sum()),
        balanced_modes=balanced_modes(histogram),
        high_quality_share=histogram.sum().item() / len(points),
        reverse_kl=reverse_kl(histogram),
        within_mode_std_ratio=within_mode_std_ratio(points, centers, std),
    )
