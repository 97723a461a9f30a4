"""What a phenomenon states, and what came out when it was tested."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from matplotlib.figure import Figure

from gaplab.reports.ledger import Summary

Row = tuple[str | float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One expectation, what was measured instead, and whether they agree.

    An expectation speaks of every seed, or of the mean over seeds: then it says so, and holds if the 95 %
    interval of the mean does.
    """

    expectation: str
    measured: str
    holds: bool


@dataclass(kw_only=True, slots=True)
class Verdict:
    """The outcome of all checks of a phenomenon with the numbers and pictures behind it."""

    checks: list[Check]
    """What could be otherwise; the verdict."""
    columns: Sequence[str]
    rows: list[Row]
    """The table; one cell a column. Numbers are shown with four significant digits."""
    figures: dict[str, Figure]
    """By file name without suffix."""
    witnesses: list[Check] = field(default_factory=list)
    """Theorems and arithmetic seen in the numbers. They cannot fail unless the code is wrong: no verdict."""
    remark: str = ""
    """What a reader must know to judge the numbers: limits, and where a textbook's statement fails."""

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {
            "holds": self.holds,
            "checks": [asdict(check) for check in self.checks],
            "witnesses": [asdict(witness) for witness in self.witnesses],
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "remark": self.remark,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Phenomenon:
    """A statement about learning with its source and the function that tests it."""

    title: str
    claim: str
    """What the textbook says, in one or two sentences."""
    reference: str
    run: Callable[[Sequence[int], bool], Verdict] = field(repr=False)
    """``run(seeds, quick)`` measures and judges."""


def at_least(expectation: str, values: Sequence[float], threshold: float) -> Check:
    """Check that every value (one a seed) reaches the threshold."""
    holds = all(value >= threshold for value in values)
    return Check(expectation=expectation, measured=spread(values), holds=holds)


def at_most(expectation: str, values: Sequence[float], threshold: float) -> Check:
    """Check that no value (one a seed) exceeds the threshold."""
    holds = all(value <= threshold for value in values)
    return Check(expectation=expectation, measured=spread(values), holds=holds)


def mean_at_least(expectation: str, values: Sequence[float], threshold: float) -> Check:
    """Check that the 95 % interval of the mean over seeds (Student's t) lies at or above the threshold.

    One seed has no interval; then its value is compared, and the check says so.
    """
    summary = Summary(list(values))
    low = summary.mean - summary.half_width if len(values) > 1 else summary.mean
    return Check(expectation=expectation, measured=mean_text(values), holds=low >= threshold)


def mean_at_most(expectation: str, values: Sequence[float], threshold: float) -> Check:
    """Check that the 95 % interval of the mean over seeds (Student's t) lies at or below the threshold."""
    summary = Summary(list(values))
    high = summary.mean + summary.half_width if len(values) > 1 else summary.mean
    return Check(expectation=expectation, measured=mean_text(values), holds=high <= threshold)


def mean_text(values: Sequence[float]) -> str:
    """The mean with its 95 % interval and the range, as text."""
    summary = Summary(list(values))
    if len(values) == 1:
        return f"{summary.mean:.4g} (one seed, no interval)"
    return f"mean {summary.mean:.4g} ± {summary.half_width:.2g}; {spread(values)}"


def spread(values: Sequence[float]) -> str:
    """The range of the values, as text; NaN shows up in it."""
    low, high = min(values), max(values)
    if any(value != value for value in values):
        return "not a number"
    text = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    return f"{text} (n = {len(values)})" if len(values) > 1 else text
