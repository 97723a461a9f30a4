"""Does a measure tell more about the gap than the hyperparameters do?

A ranking cannot say: a measure that merely repeats the width orders runs as well as the width does. Here the design
is regressed out of both, on settings that the regression did not see, and what is left of them is compared.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaplab.metrics.ranking_information import joint_codes

ROUNDING = 1e-12
"""Sums of squares of ranks below this are rounding."""
Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


class Increment(NamedTuple):
    """What one measure adds to the design; intervals are of 95 %, from settings drawn with replacement."""

    between: float
    """Correlation of the residuals of settings (means over their runs), each from a fit without the setting."""
    between_interval: tuple[float, float]
    between_q: float
    """Permutation test, residuals exchanged among settings; adjusted for the number of measures."""
    within: float
    """Correlation among runs of one setting, which differ in their seeds only."""
    within_interval: tuple[float, float]
    within_q: float
    """Permutation test, exact: measures exchanged among the runs of a setting; adjusted likewise."""
    error_removed: float
    """1 − E₁/E₀: the share of the squared error out of fold that falls away once the measure is added to the design."""
    error_removed_interval: tuple[float, float]


class _Sums(NamedTuple):
    """Sums over the runs of each setting, of the gap's ranks y and the measures' ranks m."""

    runs: Floats  # [C]
    y: Floats  # [C]
    yy: Floats  # [C]
    m: Floats  # [C, K]
    mm: Floats  # [C, K]
    my: Floats  # [C, K]


class _Statistics(NamedTuple):
    between: Floats  # [K]
    within: Floats  # [K]
    error_removed: Floats  # [K]


def increments(
    hyperparameters: Sequence[Codes],
    measures: Mapping[str, NDArray[Any]],
    gap: NDArray[Any],
    *,
    num_folds: int = 10,
    num_permutations: int = 999,
    num_resamples: int = 499,
    seed: int = 0,
) -> dict[str, Increment]:
    """Compare every measure with the gap beyond the design; columns are arrays [R] over runs.

    Gap and measures enter by their ranks over all runs, scaled to (0, 1]. The design is a least-squares fit of all
    hyperparameters as categories and of all their pairs. Settings, not runs, are dealt to ``num_folds`` folds:
    runs of a setting share its hyperparameters. In each fold the fit, and the slope of the gap's residual on the
    measure's, come from the other folds alone. An interval repeats all of that on settings drawn with replacement.

    What is found among settings holds for this fit: the measure tells what main effects and pairs cannot tell of a
    setting that they have not seen, be it only that three hyperparameters act together. What is found within
    settings needs no fit: their runs differ in nothing but seeds.
    After Chernozhukov et al. 2018 (cross-fitting) and the audit of github.com/AparajeetS/marginal-baseline-eval,
    which asks the same of the runs of Dziugaite et al. 2020.

    Raises:
        ValueError: If there are fewer settings than folds.
    """
    setting = joint_codes(hyperparameters, len(gap))
    first = np.unique(setting, return_index=True)[1]
    if len(first) < num_folds:
        raise ValueError(f"Expected at least {num_folds} settings, one a fold, but got {len(first)}.")
    random = np.random.default_rng(seed)
    design = design_matrix([codes[first] for codes in hyperparameters])
    y = midranks(gap) / len(gap)
    m = np.stack([midranks(column) for column in measures.values()], axis=1) / len(gap)
    sums = _sums(setting, y, m)
    folds = random.permutation(len(first)) % num_folds

    even = np.full(len(first), 1 / len(first))
    found = _statistics(design, folds, sums, np.ones(len(first)))
    resampled = [
        _statistics(design, folds, sums, random.multinomial(len(first), even).astype(np.float64))
        for _ in range(num_resamples)
    ]
    left_m, left_y = _held_out_means(design, folds, sums)
    p_between = _permutation_p(left_m, left_y, np.zeros(len(left_y), np.intp), num_permutations, random)
    p_within = _permutation_p(m, y, setting, num_permutations, random)
    adjusted = zip(benjamini_hochberg(p_between), benjamini_hochberg(p_within), strict=True)
    return {
        name: Increment(
            float(found.between[k]),
            _interval([draw.between[k] for draw in resampled]),
            float(q_between),
            float(found.within[k]),
            _interval([draw.within[k] for draw in resampled]),
            float(q_within),
            float(found.error_removed[k]),
            _interval([draw.error_removed[k] for draw in resampled]),
        )
        for k, (name, (q_between, q_within)) in enumerate(zip(measures, adjusted, strict=True))
    }


def design_matrix(hyperparameters: Sequence[Codes]) -> Floats:
    """Indicators of the values of every hyperparameter but its first, and products of two: [C, P], with a 1."""
    blocks = [np.eye(codes.max() + 1)[codes][:, 1:] for codes in hyperparameters]
    pairs = [
        (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
        for left, right in combinations(blocks, 2)
    ]
    return np.concatenate([np.ones((len(hyperparameters[0]), 1)), *blocks, *pairs], axis=1)


def midranks(values: NDArray[Any]) -> Floats:
    """Ranks 1, 2, ... of the values [R]; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[inverse.reshape(-1)]
    return ranks


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Adjusted p-values: the smallest false discovery rate at which each is found (Benjamini and Hochberg 1995)."""
    order = np.argsort(p_values)[::-1]
    ranks = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.minimum.accumulate(p_values[order] * len(p_values) / ranks), 1.0)
    return adjusted


def _sums(setting: Codes, y: Floats, m: Floats) -> _Sums:
    def over_runs(values: Floats) -> Floats:
        total = np.zeros((setting.max() + 1, *values.shape[1:]))
        np.add.at(total, setting, values)
        return total

    runs = np.bincount(setting).astype(np.float64)
    return _Sums(
        runs, over_runs(y), over_runs(y**2), over_runs(m), over_runs(m**2), over_runs(m * y[:, None])
    )


def _held_out_fits(design: Floats, folds: Codes, sums: _Sums, weights: Floats) -> Floats:
    """Fitted values [folds, C, 1 + K] of gap and measures, for each fold from the settings of the others."""
    targets = np.concatenate([sums.y[:, None], sums.m], axis=1)
    fits = np.empty((folds.max() + 1, *targets.shape))
    for fold in range(len(fits)):
        share = weights * (folds != fold)
        gram = design.T @ (design * (share * sums.runs)[:, None])
        moments = design.T @ (targets * share[:, None])
        # The smallest solution: a value of a hyperparameter that no setting of the others has is unknown.
        fits[fold] = design @ np.linalg.lstsq(gram, moments, rcond=None)[0]
    return fits


def _statistics(design: Floats, folds: Codes, sums: _Sums, weights: Floats) -> _Statistics:
    fits = _held_out_fits(design, folds, sums, weights)
    error_0, error_1 = 0.0, np.zeros(sums.m.shape[1])
    for fold, fit in enumerate(fits):
        yy, mm, my = _products_of_residuals(sums, fit)
        train, held_out = weights * (folds != fold), weights * (folds == fold)
        slope = _ratio(train @ my, train @ mm)
        error_0 += float(held_out @ yy)
        error_1 += held_out @ yy - 2 * slope * (held_out @ my) + slope**2 * (held_out @ mm)
    left_m, left_y = _held_out_means(design, folds, sums, fits)
    inner_yy, inner_mm, inner_my = _products_of_residuals(
        sums, np.concatenate([sums.y[:, None], sums.m], axis=1) / sums.runs[:, None]
    )
    return _Statistics(
        _weighted_correlation(left_m, left_y, weights),
        _ratio(weights @ inner_my, np.sqrt(np.maximum((weights @ inner_mm) * (weights @ inner_yy), 0.0))),
        1 - error_1 / error_0,
    )


def _products_of_residuals(sums: _Sums, fit: Floats) -> tuple[Floats, Floats, Floats]:
    """Sums over each setting's runs of (y − ŷ)², (m − m̂)² and (m − m̂)(y − ŷ), for fits [C, 1 + K]."""
    y, m, runs = fit[:, 0], fit[:, 1:], sums.runs
    yy = sums.yy - 2 * y * sums.y + runs * y**2
    mm = sums.mm - 2 * m * sums.m + runs[:, None] * m**2
    my = sums.my - m * sums.y[:, None] - y[:, None] * sums.m + runs[:, None] * m * y[:, None]
    return yy, mm, my


def _held_out_means(
    design: Floats, folds: Codes, sums: _Sums, fits: Floats | None = None
) -> tuple[Floats, Floats]:
    """Means over each setting's runs of the residuals held out: of the measures [C, K] and of the gap [C]."""
    if fits is None:
        fits = _held_out_fits(design, folds, sums, np.ones(len(folds)))
    own = fits[folds, np.arange(len(folds))]
    return sums.m / sums.runs[:, None] - own[:, 1:], sums.y / sums.runs - own[:, 0]


def _weighted_correlation(m: Floats, y: Floats, weights: Floats) -> Floats:
    share = weights / weights.sum()
    m, y = m - share @ m, y - share @ y
    return _ratio(share @ (m * y[:, None]), np.sqrt((share @ m**2) * (share @ y**2)))


def _permutation_p(m: Floats, y: Floats, group: Codes, repeats: int, random: np.random.Generator) -> Floats:
    """Two-sided p-values [K] of Σ (m − m̄)(y − ȳ), means of each group, with y exchanged among a group's rows."""
    sizes = np.bincount(group)
    order = np.argsort(group, kind="stable")
    y, m, group = y[order], m[order], group[order]
    y = y - (np.bincount(group, weights=y) / sizes)[group]
    m = m - (np.stack([np.bincount(group, weights=column) for column in m.T]) / sizes).T[group]
    observed = np.abs(m.T @ y)
    observed[np.sum(m**2, axis=0) <= ROUNDING] = 0.0  # constant within the groups: any order will do
    exceeded = np.zeros(m.shape[1])
    for _ in range(repeats):
        shuffled = y[np.lexsort((random.random(len(y)), group))]
        exceeded += np.abs(m.T @ shuffled) >= observed * (1 - 1e-9)
    return (exceeded + 1) / (repeats + 1)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """``part / whole``, and 0 where the whole is rounding: such a measure is constant once the design is known."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > ROUNDING)


def _interval(values: list[Any]) -> tuple[float, float]:
    if not values:
        return float("nan"), float("nan")
    low, high = np.quantile(np.array(values, dtype=np.float64), [0.025, 0.975])
    return float(low), float(high)
