"""Numbers that follow knots: ``[[0, 1], [0.65, 0.015], [1, 0.0005]]`` are pairs of a share of the steps and a value."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gaplab.config.checks import check

Knots = Sequence[Sequence[float]]


def check_knots(key: str, knots: Any) -> None:
    """Raise ``ConfigError`` unless the knots are pairs at rising shares of the steps, with values of 0 or more."""
    pairs = all(_is_pair(knot) for knot in knots)
    rising = pairs and all(left[0] < right[0] for left, right in pairwise(knots))
    expected = "pairs [share of the steps, value] with rising shares in [0, 1] and finite values of 0 or more"
    check(rising, key, expected, knots, "An example: [[0,1],[0.7,0.02],[1,0.001]].")


def _is_pair(knot: Any) -> bool:
    """Whether something is a share and a value; YAML's numbers may be whole."""
    if not isinstance(knot, list) or len(knot) != 2 or not all(type(one) in (int, float) for one in knot):
        return False
    share, value = knot
    return bool(0 <= share <= 1 and 0 <= value < math.inf)


def value_at(knots: Knots, progress: float) -> float:
    """Return the value at a share of the steps: the first one before the first knot, the last one after the last.

    Between two knots the logarithm of the value is a straight line; the value itself, where one of them is 0.

    >>> round(value_at([[0, 1.0], [0.5, 0.01], [1, 0.01]], 0.25), 9)
    0.1
    >>> round(value_at([[0.2, 0.0], [0.6, 1.0]], 0.3), 9)
    0.25
    """
    for (left, start), (right, end) in pairwise(knots):
        if left <= progress < right:
            share = (progress - left) / (right - left)
            if start > 0 and end > 0:
                return start * (end / start) ** share
            return start + (end - start) * share
    return knots[0][1] if progress < knots[0][0] else knots[-1][1]
