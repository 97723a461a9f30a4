"""How well a capacity measure μ orders runs by their generalization gap g.

A table maps column names to arrays [R] over runs: hyperparameters (any sortable type), measures and the gap.
Runs with equal hyperparameters differ by their seed. Infinite measures are ordered as such; drop NaNs before.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaplab.metrics.ranking_information import conditional_information, joint_codes

Array = NDArray[Any]
Table = dict[str, Array]


def order_signs(first: Array, second: Array) -> NDArray[np.int64]:
    """1 where first > second, −1 where first < second, 0 at ties (of infinities too)."""
    return (first > second).astype(np.int64) - (first < second)


def kendall_tau(measure: Array, gap: Array, *, within: Array | None = None) -> float:
    """Kendall's tau-b: Σ sμ·sg/√(Σ sμ²·Σ sg²) over pairs of runs, with s the sign of a difference.

    Tau-b leaves pairs tied in one variable out of that variable's sum. NaN if all pairs are tied. With
    ``within``, only pairs of equal value in that column count (for instance of equal training-set size).
    """
    sums = np.zeros(3)
    for run in range(len(gap) - 1):
        others = slice(run + 1, None)
        s_measure, s_gap = order_signs(measure[run], measure[others]), order_signs(gap[run], gap[others])
        counted = True if within is None else within[run] == within[others]
        products = (s_measure * s_gap, s_measure * s_measure, s_gap * s_gap)
        sums += [np.sum(product, where=counted) for product in products]
    agreement, measure_pairs, gap_pairs = sums
    if measure_pairs == 0 or gap_pairs == 0:
        return float("nan")
    return float(agreement / np.sqrt(measure_pairs * gap_pairs))


class OneFactorPairs(NamedTuple):
    """Pairs of runs that differ in one hyperparameter and in no other, as arrays [Q] over the pairs."""

    left: NDArray[np.intp]
    right: NDArray[np.intp]
    group: NDArray[np.intp]
    """Number of the setting of the other hyperparameters."""
    environment: NDArray[np.intp]
    """Number of the pair of configurations: setting and the two values."""


def one_factor_pairs(table: Table, hyperparameters: Sequence[str], axis: str) -> OneFactorPairs:
    """Every pair of runs that differs in ``axis`` only, each once, with the smaller value on the left."""
    if axis not in hyperparameters:
        raise ValueError(f"Expected `axis` to be one of {list(hyperparameters)}, but got {axis!r}.")
    values = _codes(table[axis])
    groups = joint_codes([_codes(table[name]) for name in hyperparameters if name != axis], len(values))
    by_group = np.lexsort((values, groups))
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    left, right = [np.empty(0, dtype=np.intp)], [np.empty(0, dtype=np.intp)]
    for size in np.unique(sizes):
        members = by_group[starts[sizes == size][:, None] + np.arange(size)]
        first, second = np.triu_indices(size, k=1)
        left.append(members[:, first].ravel())
        right.append(members[:, second].ravel())
    lefts, rights = np.concatenate(left), np.concatenate(right)
    differ = values[lefts] != values[rights]
    lefts, rights = lefts[differ], rights[differ]
    environment = joint_codes([groups[lefts], values[lefts], values[rights]], len(lefts))
    return OneFactorPairs(lefts, rights, groups[lefts], environment)


def granulated_tau(
    table: Table,
    hyperparameters: Sequence[str],
    axis: str,
    measure: str,
    gap: str,
    *,
    pairs: OneFactorPairs | None = None,
) -> float:
    """ψ of one hyperparameter: mean over the settings of all others of tau-b along ``axis`` alone.

    A measure that is constant along the axis has tau 0 there; settings in which the gap is constant are left
    out. NaN if none is left. Jiang et al. 2020, with tau-b in the place of plain tau. ``pairs`` are those of
    ``one_factor_pairs``, for several measures of one table.
    """
    pairs = pairs or one_factor_pairs(table, hyperparameters, axis)
    s_measure, s_gap = (order_signs(table[c][pairs.left], table[c][pairs.right]) for c in (measure, gap))
    agreement = np.bincount(pairs.group, weights=s_measure * s_gap)
    measure_pairs = np.bincount(pairs.group, weights=s_measure * s_measure)
    gap_pairs = np.bincount(pairs.group, weights=s_gap * s_gap)
    counted = gap_pairs > 0
    if not counted.any():
        return float("nan")
    untied = np.sqrt(np.maximum(measure_pairs, 1) * gap_pairs)[counted]
    return float(np.mean(agreement[counted] / untied))


class SignError(NamedTuple):
    """Sign error over environments: its mean, 90th percentile and maximum, and how many there are."""

    mean: float
    percentile_90: float
    maximum: float
    num_environments: int


def difference_weights(gap_differences: NDArray[np.float64], num_test_points: int) -> NDArray[np.float64]:
    """max(0, [1 − 2·exp(−2n(Δg/2)²)]₊² − ½): how certain it is that two gaps differ, given n test points.

    The inner part is cut at 0 before squaring; otherwise a difference of 0 would weigh as much as a sure one.
    """
    certainty = np.maximum(1 - 2 * np.exp(-2 * num_test_points * (gap_differences / 2) ** 2), 0)
    return np.maximum(certainty**2 - 0.5, 0)


def robust_sign_error(
    table: Table,
    hyperparameters: Sequence[str],
    axes: Sequence[str],
    measure: str,
    gap: str,
    *,
    num_test_points: int,
    least_sample_size: float = 12,
    pairs_of: Mapping[str, OneFactorPairs] | None = None,
) -> SignError:
    """Weighted mean of (1 − sμ·sg)/2 in every environment, summarised over environments.

    An environment is a pair of configurations that differ in one hyperparameter of ``axes``; its sample is all
    pairs of their runs (seeds), weighted by ``difference_weights``. Environments with an effective sample size
    (Σw)²/Σw² below ``least_sample_size`` are left out; NaN if none is left. The gap must be a difference of
    accuracies (values in [0, 1]). Dziugaite et al. 2020. ``pairs_of`` may hold ``one_factor_pairs`` by axis.
    """
    errors = []
    for axis in axes:
        pairs = one_factor_pairs(table, hyperparameters, axis) if pairs_of is None else pairs_of[axis]
        s_measure, s_gap = (order_signs(table[c][pairs.left], table[c][pairs.right]) for c in (measure, gap))
        weights = difference_weights(table[gap][pairs.left] - table[gap][pairs.right], num_test_points)
        total = np.bincount(pairs.environment, weights=weights)
        squares = np.bincount(pairs.environment, weights=weights**2)
        wrong = np.bincount(pairs.environment, weights=weights * (1 - s_measure * s_gap) / 2)
        kept = total**2 >= least_sample_size * np.maximum(squares, np.finfo(float).tiny)
        errors.append(wrong[kept] / total[kept])
    all_errors = np.concatenate(errors) if errors else np.empty(0)
    if all_errors.size == 0:
        return SignError(float("nan"), float("nan"), float("nan"), 0)
    return SignError(
        float(all_errors.mean()),
        float(np.quantile(all_errors, 0.9)),
        float(all_errors.max()),
        all_errors.size,
    )


def rank_measure(
    table: Table,
    hyperparameters: Sequence[str],
    measure: str,
    gap: str,
    *,
    num_test_points: int,
    size_axis: str | None = None,
) -> dict[str, float]:
    """All scores of one measure: ``tau``, ``psi/<axis>``, ``psi_mean``, ``information`` and ``sign_error/...``.

    Measures that are divided by the number of training points order runs along that axis for free. With
    ``size_axis``, the name of that hyperparameter, every summary is repeated as ``.../equal_size``, from pairs of
    runs with equally many training points only.
    """
    psi = {axis: granulated_tau(table, hyperparameters, axis, measure, gap) for axis in hyperparameters}
    scores = {f"psi/{axis}": value for axis, value in psi.items()}
    for suffix, fixed in [("", None)] + ([("/equal_size", size_axis)] if size_axis else []):
        axes = [axis for axis in hyperparameters if axis != fixed]
        within = None if fixed is None else table[fixed]
        sign_error = robust_sign_error(
            table, hyperparameters, axes, measure, gap, num_test_points=num_test_points
        )
        scores[f"tau{suffix}"] = kendall_tau(table[measure], table[gap], within=within)
        scores[f"psi_mean{suffix}"] = float(np.nanmean([psi[axis] for axis in axes]))
        scores[f"information{suffix}"] = conditional_information(
            table[measure], table[gap], [_codes(table[axis]) for axis in axes], within=within
        )
        scores |= {f"sign_error/{k}{suffix}": float(v) for k, v in sign_error._asdict().items()}
    return scores


def _codes(column: Array) -> NDArray[np.intp]:
    return np.unique(column, return_inverse=True)[1].reshape(-1)
