"""What a measure tells about the order of two gaps beyond what the hyperparameters tell."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray


def conditional_information(
    measure: NDArray[Any],
    gap: NDArray[Any],
    hyperparameters: Sequence[NDArray[np.intp]],
    *,
    within: NDArray[Any] | None = None,
    max_conditions: int = 2,
    chunk_size: int = 512,
) -> float:
    """K(μ) = min over |S| ≤ 2 of I(V_μ; V_g | U_S)/H(V_g | U_S), between 0 (nothing) and 1 (the whole order).

    Over ordered pairs of runs, V_g = 1[g₁ > g₂], V_μ = 1[μ₁ > μ₂], and U_S are the values of the
    hyperparameters S of both runs; a small K says that some hyperparameters explain the measure's success.
    ``hyperparameters`` are columns of codes 0, 1, ... [R]. With ``within``, only pairs of equal value in that
    column count. Sets S that settle the order of the gaps (H = 0) are left out; NaN if none is left.

    Jiang et al. 2020. Takes of the order of R² operations for every value of every U_S.
    """
    settings = [
        joint_codes([hyperparameters[index] for index in chosen], len(gap))
        for size in range(min(max_conditions, len(hyperparameters)) + 1)
        for chosen in combinations(range(len(hyperparameters)), size)
    ]
    indicators = [np.eye(codes.max() + 1, dtype=np.float32)[codes] for codes in settings]
    stops = np.cumsum([indicator.shape[1] for indicator in indicators])
    stacked = np.concatenate(indicators, axis=1)

    # For each set S: how many pairs there are, and how many have V_g, V_μ, or both, by value of U_S.
    counts = [np.zeros((4, indicator.shape[1], indicator.shape[1])) for indicator in indicators]
    for start in range(0, len(gap), chunk_size):
        rows = slice(start, start + chunk_size)
        pairs = np.arange(len(gap))[rows, None] != np.arange(len(gap))
        if within is not None:
            pairs &= within[rows, None] == within
        gap_order = (gap[rows, None] > gap) & pairs
        measure_order = (measure[rows, None] > measure) & pairs
        for kind, event in enumerate((pairs, gap_order, measure_order, gap_order & measure_order)):
            # Exact in float32: no count of one row exceeds 2²⁴.
            of_row = np.split(event.astype(np.float32) @ stacked, stops[:-1], axis=1)
            for count, indicator, columns in zip(counts, indicators, of_row, strict=True):
                count[kind] += indicator[rows].T.astype(np.float64) @ columns
    ratios = [information_ratio(*count) for count in counts]
    return float(np.nanmin(ratios)) if not np.all(np.isnan(ratios)) else float("nan")


def information_ratio(
    pairs: NDArray[np.float64],
    gap_order: NDArray[np.float64],
    measure_order: NDArray[np.float64],
    both: NDArray[np.float64],
) -> float:
    """I/H from counts over the values of U: H(V_g|U) + H(V_μ|U) − H(V_g, V_μ|U), divided by H(V_g|U)."""
    neither = pairs - gap_order - measure_order + both
    gap_entropy = _count_entropy(gap_order, pairs - gap_order)
    measure_entropy = _count_entropy(measure_order, pairs - measure_order)
    joint_entropy = _count_entropy(both, gap_order - both, measure_order - both, neither)
    if gap_entropy == 0:
        return float("nan")
    return (gap_entropy + measure_entropy - joint_entropy) / gap_entropy


def _count_entropy(*outcomes: NDArray[np.float64]) -> float:
    """Σ over cells of (count · entropy of the outcomes in the cell), from counts of each outcome by cell."""
    total = sum(outcomes)
    return float(_x_log_x(np.asarray(total)).sum() - sum(_x_log_x(outcome).sum() for outcome in outcomes))


def _x_log_x(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x * np.log(np.where(x > 0, x, 1.0))


def joint_codes(columns: Sequence[NDArray[np.intp]], length: int) -> NDArray[np.intp]:
    """One code 0, 1, ... for every combination of codes that occurs, [length]; all 0 without columns."""
    if not columns or length == 0:
        return np.zeros(length, dtype=np.intp)
    return np.unique(np.stack(columns, 1), axis=0, return_inverse=True)[1].reshape(-1)
