"""All scores of all measures of a study, with their spread over seeds."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gaplab.metrics.pair_counts import PairCounts, count_pairs
from gaplab.metrics.ranking_information import joint_codes
from gaplab.metrics.rankings import OneFactorPairs, Table, granulated_tau, one_factor_pairs, robust_sign_error

LEAST_SAMPLE_SIZE = 12.0
"""Effective number of pairs that an environment must have (Dziugaite et al. 2020)."""
Scores = dict[str, tuple[float, float]]
"""Value and standard error by the name of the score."""


def study_scores(
    table: Table,
    hyperparameters: Sequence[str],
    measures: Sequence[str],
    gap: str,
    seed: str,
    *,
    num_test_points: int,
    size_axis: str | None = None,
) -> dict[str, Scores]:
    """Score every measure as ``rankings.rank_measure`` does, all of them together and with standard errors.

    Scores are ``tau`` (plain), ``tau_b``, ``psi/<axis>``, ``psi_mean``, ``information`` and ``sign_error/mean``,
    ``.../percentile_90``, ``.../maximum`` and ``.../num_environments``. With ``size_axis``, every summary is repeated
    as ``.../equal_size``, from pairs of runs with equally many training points only.

    The standard error is the jackknife's over seeds: every score is computed again without each of the B
    seeds, and the error is √((B − 1)/B·Σ(s_b − s̄)²). It tells what other seeds would have given, not
    what other hyperparameters would have.
    """
    codes = {name: _codes(table[name]) for name in (*hyperparameters, seed)}
    num_seeds = int(codes[seed].max()) + 1
    kept_seeds = [
        range(num_seeds),
        *([s for s in range(num_seeds) if s != left] for left in range(num_seeds)),
    ]
    parts = [
        (_only(table, np.isin(codes[seed], list(kept))), (len(kept) / num_seeds) ** 2) for kept in kept_seeds
    ]
    pairs = [
        {axis: one_factor_pairs(part, hyperparameters, axis) for axis in hyperparameters} for part, _ in parts
    ]
    result: dict[str, Scores] = {measure: {} for measure in measures}
    for suffix, fixed in [("", None)] + ([("/equal_size", size_axis)] if size_axis else []):
        axes = [axis for axis in hyperparameters if axis != fixed]
        counts = count_pairs(
            {measure: table[measure] for measure in measures},
            table[gap],
            [codes[axis] for axis in axes],
            codes[seed],
            within=None if fixed is None else table[fixed],
        )
        for measure in measures:
            replicates = [
                _pair_scores(counts, measure, kept)
                | _factor_scores(part, hyperparameters, axes, measure, gap, of_axis, num_test_points, share)
                for kept, (part, share), of_axis in zip(kept_seeds, parts, pairs, strict=True)
            ]
            for name, value in replicates[0].items():
                error = jackknife_error([replicate[name] for replicate in replicates[1:]])
                is_psi = name.startswith("psi/")
                if not (suffix and is_psi):
                    result[measure][name + suffix] = value, error
    return result


def share_between_settings(table: Table, hyperparameters: Sequence[str], gap: str) -> float:
    """Share of the gap's variance that the settings explain: the intraclass correlation, between 0 and 1.

    The rest is what seeds decide, of which a measure that only reads the setting knows nothing. One-way
    analysis of variance for groups of unequal size (Fisher 1925): (A − W)/(A + (n₀ − 1)·W), cut at 0, with A
    and W the mean squares between and within settings and n₀ = (R − Σn²/R)/(settings − 1). NaN where no
    setting has two runs, or there is one setting only.
    """
    gaps = np.asarray(table[gap], dtype=np.float64)
    setting = joint_codes([_codes(table[name]) for name in hyperparameters], len(gaps))
    sizes = np.bincount(setting)
    num_runs, num_settings = len(gaps), len(sizes)
    if num_settings < 2 or num_runs == num_settings:
        return math.nan
    means = np.bincount(setting, weights=gaps) / sizes
    between = float(np.sum(sizes * (means - gaps.mean()) ** 2)) / (num_settings - 1)
    within = float(np.sum((gaps - means[setting]) ** 2)) / (num_runs - num_settings)
    size = (num_runs - float(np.sum(sizes**2)) / num_runs) / (num_settings - 1)
    return max((between - within) / (between + (size - 1) * within), 0.0)


def jackknife_error(values: Sequence[float]) -> float:
    """Standard error from a statistic's values with each of B groups left out; NaN for fewer than two."""
    if len(values) < 2:
        return math.nan
    return float(np.sqrt((len(values) - 1) * np.var(values)))


def _pair_scores(counts: PairCounts, measure: str, seeds: Sequence[int]) -> dict[str, float]:
    plain, tau_b = counts.tau(measure, seeds)
    return {"tau": plain, "tau_b": tau_b, "information": counts.information(measure, seeds)}


def _factor_scores(
    table: Table,
    hyperparameters: Sequence[str],
    axes: Sequence[str],
    measure: str,
    gap: str,
    pairs: dict[str, OneFactorPairs],
    num_test_points: int,
    share: float,
) -> dict[str, float]:
    """Scores from pairs of runs that differ in one hyperparameter; ``share`` of all pairs of seeds is there."""
    psi = {a: granulated_tau(table, hyperparameters, a, measure, gap, pairs=pairs[a]) for a in axes}
    found = [value for value in psi.values() if not math.isnan(value)]
    scores = {f"psi/{axis}": value for axis, value in psi.items()}
    scores["psi_mean"] = float(np.mean(found)) if found else math.nan
    error = robust_sign_error(
        table,
        hyperparameters,
        axes,
        measure,
        gap,
        num_test_points=num_test_points,
        least_sample_size=LEAST_SAMPLE_SIZE * share,
        pairs_of=pairs,
    )
    return scores | {f"sign_error/{name}": float(value) for name, value in error._asdict().items()}


def _only(table: Table, rows: NDArray[np.bool_]) -> Table:
    return {name: column[rows] for name, column in table.items()}


def _codes(column: NDArray[np.generic]) -> NDArray[np.intp]:
    return np.unique(column, return_inverse=True)[1].reshape(-1)
