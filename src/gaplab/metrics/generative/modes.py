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
    offsets, labels, counts, means = _around_centers(points, centers, num_stds * std)
    freedom = 2 * (counts - 1).clamp(min=0).sum().item()
    if freedom == 0:
        return math.nan
    variance = (offsets - means[labels]).square().sum().item() / freedom
    return math.sqrt(variance / _kept_variance(std, num_stds))


class ModeShapes(NamedTuple):
    """Where each mode stands, how wide it is and how heavy; needs some hundred samples a mode."""

    center_offset: float
    """Largest distance from a mode's mean to its centre, in standard deviations; NaN without a sample anywhere."""
    smallest_std_ratio: float
    """Smallest ``within_mode_std_ratio`` of a single mode; 0 where one has no two samples."""
    largest_std_ratio: float
    roundness: float
    """Smallest ratio of a mode's standard deviations along its two axes, 1 for a round one; 0 where one has no two
    samples."""
    mass_tv: float
    """Total variation between the masses of modes and of samples of no mode, and those of the law, in [0, 1]."""


def mode_shapes(points: Tensor, centers: Tensor, std: float, *, num_stds: float = 3.0) -> ModeShapes:
    """Offset, width, shape and mass of every mode of points [P, 2], as the extremes over modes.

    Means and widths are those of the high-quality points. A sample that is farther than ``num_stds`` standard
    deviations from every centre belongs to no mode; the law has e^{−c²/2} of these, 1.1 % at c = 3.
    """
    offsets, labels, counts, means = _around_centers(points, centers, num_stds * std)
    residuals = offsets - means[labels]
    products = residuals[:, :, None] * residuals[:, None]
    sums = products.new_zeros(len(centers), 2, 2).index_add(0, labels, products)
    covariances = sums / (counts - 1).clamp(min=1)[:, None, None]
    least, most = torch.linalg.eigvalsh(covariances).clamp(min=0).unbind(dim=1)
    ratios = ((least + most) / 2 / _kept_variance(std, num_stds)).sqrt()
    roundness = torch.where(most > 0, least / most, 0.0).sqrt().min().item()
    distances = means[counts > 0].norm(dim=1) / std
    good = -math.expm1(-(num_stds**2) / 2)
    masses = counts / len(points)
    mass_tv = 0.5 * ((masses - good / len(centers)).abs().sum() + (good - masses.sum()).abs()).item()
    offset = distances.max().item() if len(distances) else math.nan
    return ModeShapes(offset, ratios.min().item(), ratios.max().item(), roundness, mass_tv)


def _around_centers(points: Tensor, centers: Tensor, radius: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Offsets [Q, 2] of the points within a radius and their modes [Q]; counts [K] and mean offsets [K, 2] of these."""
    distances, indices = nearest_centers(points, centers)
    kept = distances < radius
    offsets = (points - centers[indices])[kept].double()
    labels = indices[kept]
    counts = torch.bincount(labels, minlength=len(centers)).double()
    sums = offsets.new_zeros(len(centers), 2).index_add(0, labels, offsets)
    return offsets, labels, counts, sums / counts.clamp(min=1)[:, None]


def _kept_variance(std: float, num_stds: float) -> float:
    """Variance of a coordinate of a normal in two dimensions that is kept to r < c·σ."""
    half_square = num_stds**2 / 2
    return std**2 * (1 - half_square * math.exp(-half_square) / -math.expm1(-half_square))


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
