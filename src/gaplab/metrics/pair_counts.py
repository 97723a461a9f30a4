"""Counts over all pairs of runs for many measures at once: Kendall's tau and K(μ) of studies with 10⁴ runs.

The counts are kept by the two runs' seeds. Leaving out a seed is then a sum over fewer blocks, so that the
jackknife over seeds costs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaplab.metrics.ranking_information import information_ratio, joint_codes

Array = NDArray[Any]
Counts = NDArray[np.float64]


@dataclass(slots=True)
class PairCounts:
    """Numbers of ordered pairs of runs, by the seeds of both ([B, B]) and by the values of U_S of both.

    One array [B, B, U, U] for every set S of at most two hyperparameters; S = {} comes first.
    """

    pairs: list[Counts]
    gap_order: list[Counts]
    """Pairs with g₁ > g₂."""
    measure_order: dict[str, list[Counts]]
    """Pairs with μ₁ > μ₂, by measure."""
    both: dict[str, list[Counts]]
    """Pairs with g₁ > g₂ and μ₁ > μ₂."""
    opposite: dict[str, Counts]
    """Pairs [B, B] with g₁ < g₂ and μ₁ > μ₂."""

    def tau(self, measure: str, seeds: Sequence[int]) -> tuple[float, float]:
        """Kendall's plain tau and tau-b over the runs of some seeds.

        Plain tau divides by all pairs, tau-b by √(pairs untied in μ · pairs untied in g).
        """
        agreement = _total(self.both[measure][0], seeds) - _total(self.opposite[measure], seeds)
        pairs = _total(self.pairs[0], seeds) / 2
        untied = _total(self.measure_order[measure][0], seeds) * _total(self.gap_order[0], seeds)
        if pairs == 0:
            return float("nan"), float("nan")
        return agreement / pairs, agreement / untied**0.5 if untied > 0 else float("nan")

    def information(self, measure: str, seeds: Sequence[int]) -> float:
        """K(μ) over the runs of some seeds, as ``ranking_information.conditional_information`` defines it."""
        ratios = [
            information_ratio(*(_block(count, seeds) for count in counts))
            for counts in zip(
                self.pairs, self.gap_order, self.measure_order[measure], self.both[measure], strict=True
            )
        ]
        return float(np.nanmin(ratios)) if not np.all(np.isnan(ratios)) else float("nan")


def count_pairs(
    measures: Mapping[str, Array],
    gap: Array,
    hyperparameters: Sequence[NDArray[np.intp]],
    seeds: NDArray[np.intp],
    *,
    within: Array | None = None,
    chunk_size: int = 512,
) -> PairCounts:
    """Count the pairs of runs in every order of gap and measures.

    Args:
        measures: Columns [R].
        gap: The gaps [R].
        hyperparameters: Columns of codes 0, 1, ... [R].
        seeds: Code of each run's seed, 0 ... B − 1.
        within: Count only pairs of equal value in this column.
        chunk_size: Runs at a time; memory is of the order of ``chunk_size`` times R.
    """
    order = np.argsort(seeds, kind="stable")
    blocks = np.split(order, np.cumsum(np.bincount(seeds))[:-1])
    stacked, widths = _indicators(hyperparameters, len(gap))
    result = PairCounts(
        _zeros(widths, len(blocks)),
        _zeros(widths, len(blocks)),
        {name: _zeros(widths, len(blocks)) for name in measures},
        {name: _zeros(widths, len(blocks)) for name in measures},
        {name: np.zeros((len(blocks), len(blocks))) for name in measures},
    )
    for first, members in enumerate(blocks):
        for start in range(0, len(members), chunk_size):
            rows = members[start : start + chunk_size]
            for second, others in enumerate(blocks):
                counted = rows[:, None] != others
                if within is not None:
                    counted &= within[rows, None] == within[others]
                greater = (gap[rows, None] > gap[others]) & counted
                less = (gap[rows, None] < gap[others]) & counted
                left, right = _split(stacked[rows], widths), stacked[others]
                _add(result.pairs, counted, left, right, (first, second))
                _add(result.gap_order, greater, left, right, (first, second))
                for name, measure in measures.items():
                    above = (measure[rows, None] > measure[others]) & counted
                    _add(result.measure_order[name], above, left, right, (first, second))
                    _add(result.both[name], above & greater, left, right, (first, second))
                    result.opposite[name][first, second] += np.count_nonzero(above & less)
    return result


def _indicators(
    hyperparameters: Sequence[NDArray[np.intp]], num_runs: int
) -> tuple[NDArray[np.float32], list[int]]:
    """Indicator columns [R, ΣU] of the values of U_S for every S, and how many each S has."""
    codes = [
        joint_codes([hyperparameters[index] for index in chosen], num_runs)
        for size in range(min(2, len(hyperparameters)) + 1)
        for chosen in combinations(range(len(hyperparameters)), size)
    ]
    indicators = [np.eye(code.max() + 1, dtype=np.float32)[code] for code in codes]
    return np.concatenate(indicators, axis=1), [indicator.shape[1] for indicator in indicators]


def _add(
    counts: list[Counts],
    event: NDArray[np.bool_],
    left: Sequence[NDArray[np.float32]],
    right: NDArray[np.float32],
    block: tuple[int, int],
) -> None:
    # Exact in float32: no count of a chunk exceeds 2²⁴ (512 runs with 32,768 others).
    of_row = _split(event.astype(np.float32) @ right, [part.shape[1] for part in left])
    for count, rows, columns in zip(counts, left, of_row, strict=True):
        count[block] += rows.T @ columns


def _split(columns: NDArray[np.float32], widths: Sequence[int]) -> list[NDArray[np.float32]]:
    return np.split(columns, np.cumsum(widths)[:-1], axis=1)


def _zeros(widths: Sequence[int], num_blocks: int) -> list[Counts]:
    return [np.zeros((num_blocks, num_blocks, width, width)) for width in widths]


def _block(count: Counts, seeds: Sequence[int]) -> Counts:
    """Sum over the pairs of the given seeds, [U, U]."""
    return np.asarray(count[np.ix_(list(seeds), list(seeds))].sum((0, 1)))


def _total(count: Counts, seeds: Sequence[int]) -> float:
    return float(count[np.ix_(list(seeds), list(seeds))].sum())
