"""What a setting changes against a twin that differs in nothing else, from pairs of runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Self

from gaplab.reports.ledger import t_quantile


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of paired differences with Student's intervals, in the unit of the quantity."""

    mean: float
    half: float
    """Half the width of the 95 % interval of the mean."""
    wide: float
    """The same at the level that holds for all comparisons at once (Bonferroni)."""

    @classmethod
    def of(cls, values: Sequence[float], comparisons: int = 1) -> Self:
        """Return the mean of at least two differences, one of so many comparisons that are made beside each other.

        >>> Difference.of([1.0, 2.0, 3.0]).mean
        2.0
        """
        freedom = len(values) - 1
        error = stdev(values) / math.sqrt(len(values))
        halves = [error * t_quantile(freedom, 1 - 0.025 / number) for number in (1, comparisons)]
        return cls(mean(values), *halves)

    @property
    def differs(self) -> bool:
        """Whether the simultaneous interval is on one side of 0."""
        return abs(self.mean) > self.wide

    def is_within(self, margin: float) -> bool:
        """Whether the 95 % interval lies within ± margin (two one-sided tests at 2.5 %)."""
        return abs(self.mean) + self.half < margin
