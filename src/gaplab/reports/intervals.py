"""Intervals of means over seeds that never leave the range of the quantity."""

import math

from gaplab.reports.ledger import Summary
from gaplab.reports.numbers import number

FEWEST_FOR_INTERVAL = 5
"""With fewer seeds Student's interval says less than the values themselves."""
SHARES = (
    "accuracy/",
    "modes/high_quality",
    "modes/label_agreement",
    "coverage/",
    "judge/",
    "mmd/p_value",
    "modes/mass_tv",
)
SHARES_ABOVE_ONE = ("coverage/density",)
SIGNED = ("gap/", "mmd/squared", "loss/", "distance/c_t", "distance/nearest_split")
"""Quantities that may be negative: the loss of a critic is one."""


def span(quantity: str) -> tuple[float, float]:
    """Return the smallest and the largest value that a quantity can have."""
    if quantity.startswith("gap/"):
        return (-1.0, 1.0) if quantity in ("gap/accuracy", "gap/judge_accuracy") else (-math.inf, math.inf)
    if quantity.startswith(SHARES) and quantity not in SHARES_ABOVE_ONE:
        return 0.0, 1.0
    if quantity.startswith(SIGNED) and not quantity.startswith(("loss/train", "loss/val", "loss/test")):
        return -math.inf, math.inf
    return 0.0, math.inf


def interval(summary: Summary, quantity: str, most: float = math.inf) -> tuple[float, float]:
    """Return the 95 % t-interval of a mean, cut to the range of the quantity and at ``most``."""
    low, high = span(quantity)
    ends = summary.mean - summary.half_width, summary.mean + summary.half_width
    return max(ends[0], low), min(ends[1], high, most)


def interval_text(summary: Summary, quantity: str, most: float = math.inf) -> str:
    """Return the interval of a mean, or the values themselves where they are few."""
    if len(summary.values) < FEWEST_FOR_INTERVAL:
        return ", ".join(map(number, sorted(summary.values)))
    low, high = interval(summary, quantity, most)
    return f"{number(low)} to {number(high)}"
