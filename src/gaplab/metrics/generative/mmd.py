"""Maximum mean discrepancy with a sum of Gaussian kernels, and its permutation test."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gaplab.metrics.generative.distances import squared_distances
from gaplab.metrics.generative.permutations import expected_p_value, permutation_p_value

BANDWIDTH_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
SMALLEST_EXPONENT = -100.0
"""e^-100 beside a sum of at least 1 is nothing."""
ROUNDING = 1e-12
"""Share of a statistic by which another may be smaller and count as equal."""


class MMDResult(NamedTuple):
    """Outcome of one test."""

    squared: float
    """Unbiased MMD²: its expectation for equal laws is 0."""
    p_value: float
    """Chance that MMD² is as high for equal laws; at least 1 / (1 + permutations)."""
    expected_p_value: float
    """Mean of the p-value for equal laws; NaN from a single permutation."""


def median_distance(points: Tensor) -> float:
    """Median Euclidean distance between two different points of [P, D]. Raises ValueError when it is 0."""
    median = torch.pdist(points.double()).median().item()
    if not median > 0:
        raise ValueError("the median distance of the pooled points is 0 or NaN: it gives no kernel width")
    return median


def kernel_matrix(points: Tensor, bandwidths: Tensor) -> Tensor:
    """Σ_b exp(−‖x_i − x_j‖² / 2b²) for points [P, D] and bandwidths [B]: float64 [P, P]."""
    points = points.double()
    widest, *narrower = sorted(bandwidths.tolist(), reverse=True)
    found = points.new_empty(len(points), len(points))
    row = 0
    for squared in squared_distances(points, points):
        total, before = found[row : row + len(squared)], widest
        row += len(squared)
        part = torch.exp(_exponent(squared, widest), out=total).clone()
        for bandwidth in narrower:
            # A kernel half as wide is the fourth power: cheaper than another exponential.
            times = math.log2((before / bandwidth) ** 2)
            if times.is_integer():
                for _ in range(int(times)):
                    part.square_()
            else:
                part = _exponent(squared, bandwidth).exp_()
            total += part
            before = bandwidth
    return found


def _exponent(squared: Tensor, bandwidth: float) -> Tensor:
    """Return a kernel's exponent, above where exponentials are no normal numbers any more, which is slow."""
    return (squared / (-2 * bandwidth**2)).clamp_(min=SMALLEST_EXPONENT)


def unbiased_mmd2(kernel: Tensor, num_left: int) -> float:
    """Unbiased MMD² from the pooled kernel matrix [P, P], whose first ``num_left`` points are the left sample.

    May be negative; its expectation is 0 for equal laws. Source: Gretton et al. 2012, lemma 6.
    """
    membership = torch.zeros(len(kernel), 1, dtype=kernel.dtype, device=kernel.device)
    membership[:num_left] = 1
    return _mmd2_of_memberships(kernel, membership).item()


def mmd_test(
    left: Tensor,
    right: Tensor,
    *,
    num_permutations: int = 200,
    generator: torch.Generator,
    scale: float | None = None,
) -> MMDResult:
    """Unbiased MMD² of [n, D] against [m, D], and the p-value of its permutation test.

    Bandwidths are ``scale`` × {¼, ½, 1, 2, 4}: the finest length of the law, where it is known, as the median
    distance of the pooled points, which stands in for None, is blind to the width of modes.
    Raises ValueError for fewer than two points in a sample.
    """
    if min(len(left), len(right)) < 2:
        raise ValueError(f"MMD needs at least 2 points in each sample, got {len(left)} and {len(right)}")
    if num_permutations < 1:
        raise ValueError(f"num_permutations must be at least 1, got {num_permutations}")
    pooled = torch.cat([left, right])
    scale = median_distance(pooled) if scale is None else scale
    kernel = kernel_matrix(pooled, scale * torch.tensor(BANDWIDTH_FACTORS))
    chosen = [torch.arange(len(left))]
    for _ in range(num_permutations):
        chosen.append(torch.randperm(len(pooled), generator=generator)[: len(left)])
    memberships = torch.zeros(len(pooled), len(chosen), dtype=kernel.dtype)
    memberships.scatter_(0, torch.stack(chosen, dim=1), 1)
    statistics = _mmd2_of_memberships(kernel, memberships.to(kernel.device)).cpu()
    observed, permuted = statistics[0].item(), statistics[1:]
    p_value = permutation_p_value(observed, permuted, tolerance=ROUNDING)
    expected = expected_p_value(permuted, tolerance=ROUNDING) if num_permutations > 1 else math.nan
    return MMDResult(observed, p_value, expected)


def _mmd2_of_memberships(kernel: Tensor, memberships: Tensor) -> Tensor:
    """MMD² for each column of 0/1 memberships [P, B] (1 = left sample), as two matrix products."""
    num_left = memberships.sum(dim=0)
    num_right = len(memberships) - num_left
    diagonal, sums = kernel.diagonal(), kernel.sum(dim=1)
    blocks = (kernel @ memberships).mul_(memberships).sum(dim=0)
    within_left = blocks - diagonal @ memberships
    across = sums @ memberships - blocks
    within_right = sums.sum() - diagonal.sum() - within_left - 2 * across
    return (
        within_left / (num_left * (num_left - 1))
        + within_right / (num_right * (num_right - 1))
        - 2 * across / (num_left * num_right)
    )
