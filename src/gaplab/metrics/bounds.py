"""Upper bounds on the risk or the gap of a classifier, for the 0-1 loss, with their failure probability."""

import math
from dataclasses import dataclass
from typing import Literal

from gaplab.metrics.gap import hoeffding_radius


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """A number that theory puts above the risk or above the gap.

    Only a ``rigorous`` bound may be printed as a guarantee: its constants are complete, every quantity in it is
    exact or bounded itself, and it then fails with probability at most ``delta`` over independent draws of
    the points. The others are scales: constants left out, or quantities that are only estimated.
    """

    name: str
    value: float
    delta: float
    rigorous: bool
    source: str
    quantity: Literal["gap", "risk"] = "gap"
    """What lies below ``value``: the risk itself, or risk minus empirical risk."""
    trivial: float = 1.0
    """The value known without any data: 1, or the risk 1 − 1/C of guessing among C equal classes."""

    @property
    def vacuous(self) -> bool:
        """Whether the bound says nothing that was not known before seeing data."""
        return not self.value < self.trivial


def hoeffding_bound(num_test_points: int, delta: float = 0.05) -> Bound:
    """Distance of the risk from the error rate on a test set that took no part in training or selection."""
    return Bound(
        name="hoeffding_test",
        value=hoeffding_radius(num_test_points, delta),
        delta=delta,
        rigorous=True,
        source="Hoeffding 1963, Theorem 2",
    )


def finite_class_bound(log_num_hypotheses: float, num_points: int, delta: float = 0.05) -> Bound:
    """Occam's bound √((ln|ℋ| + ln(1/δ))/(2m)) for every member of a finite class at once.

    ``log_num_hypotheses`` is ln|ℋ| in nats.
    """
    require_delta(delta)
    return Bound(
        name="finite_class",
        value=math.sqrt((log_num_hypotheses + math.log(1 / delta)) / (2 * num_points)),
        delta=delta,
        rigorous=True,
        source="Hoeffding 1963 with a union bound",
    )


def finite_precision_bound(
    num_parameters: int, num_points: int, delta: float = 0.05, *, bits_per_parameter: int = 32
) -> Bound:
    """The rigorous relative of √(N/m): N parameters of b bits are one of 2^(Nb) hypotheses.

    The architecture must be fixed before the m training points are seen.
    """
    bound = finite_class_bound(num_parameters * bits_per_parameter * math.log(2), num_points, delta)
    return Bound(
        name="finite_precision",
        value=bound.value,
        delta=delta,
        rigorous=True,
        source=f"{bound.source}, {bits_per_parameter} bits a parameter",
    )


def require_delta(delta: float) -> None:
    """Raise ValueError unless 0 < delta < 1."""
    if not 0 < delta < 1:
        raise ValueError(f"Expected `delta`, a failure probability, to be between 0 and 1, but got {delta}.")
