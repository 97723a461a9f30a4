"""VC bounds on the gap of a two-class classifier, and the VC dimension of a ReLU network."""

import itertools
import math
from collections.abc import Sequence

from gaplab.metrics.bounds import Bound, require_delta


def vapnik_bound(vc_dimension: float, num_points: int, delta: float = 0.05) -> Bound:
    """√((8/m)·(d·ln(2em/d) + ln(4/δ))), for a class of VC dimension d and m points.

    Infinite for m < d, where the class can fit any labels. Rigorous only if ``vc_dimension`` is.
    """
    require_delta(delta)
    value = math.inf
    if num_points >= vc_dimension:
        growth = vc_dimension * math.log(2 * math.e * num_points / vc_dimension)
        value = math.sqrt(8 / num_points * (growth + math.log(4 / delta)))
    return Bound(
        name="vc_vapnik",
        value=value,
        delta=delta,
        rigorous=True,
        source="Vapnik and Chervonenkis 1971; Sauer",
    )


def mohri_bound(vc_dimension: float, num_points: int, delta: float = 0.05) -> Bound:
    """√(2·d·ln(em/d)/m) + √(ln(1/δ)/(2m)), by way of the Rademacher complexity; infinite for m < d."""
    require_delta(delta)
    value = math.inf
    if num_points >= vc_dimension:
        growth = 2 * vc_dimension * math.log(math.e * num_points / vc_dimension)
        value = math.sqrt(growth / num_points) + math.sqrt(math.log(1 / delta) / (2 * num_points))
    return Bound(
        name="vc_mohri",
        value=value,
        delta=delta,
        rigorous=True,
        source="Mohri, Rostamizadeh and Talwalkar, Foundations of Machine Learning",
    )


def relu_vc_dimension(widths: Sequence[int]) -> float:
    """Upper estimate of the VC dimension of a fully connected ReLU network with biases and one output.

    ``widths`` = (inputs, hidden ..., 1). With L layers, W_i parameters up to layer i, S = Σ W_i and R = Σ i·k_i
    (k_i units in layer i): L + S·log₂(4eR·log₂(2eR)). The form is that of Bartlett, Harvey, Liaw and
    Mehrabian (JMLR 2019, arXiv 1703.02930) for piecewise-linear units; its constants were not checked against
    the paper, so what rests on it is a scale.
    """
    if len(widths) < 2 or widths[-1] != 1:
        raise ValueError(
            "Expected `widths` to run from the inputs to a single output, such as [2, 100, 1] "
            f"(VC dimension is defined for two classes), but got {list(widths)}."
        )
    parameters_up_to = 0
    sum_of_parameters = 0
    weighted_units = 0
    for layer, (fan_in, units) in enumerate(itertools.pairwise(widths), start=1):
        parameters_up_to += (fan_in + 1) * units
        sum_of_parameters += parameters_up_to
        weighted_units += layer * units
    log_factor = math.log2(4 * math.e * weighted_units * math.log2(2 * math.e * weighted_units))
    return len(widths) - 1 + sum_of_parameters * log_factor


def relu_vc_bound(widths: Sequence[int], num_points: int, delta: float = 0.05) -> Bound:
    """The smaller of the two VC bounds at ``relu_vc_dimension``: a scale (see there)."""
    dimension = relu_vc_dimension(widths)
    best = min((form(dimension, num_points, delta) for form in (vapnik_bound, mohri_bound)), key=_value)
    return Bound(
        name="vc_relu",
        value=best.value,
        delta=delta,
        rigorous=False,
        source=f"{best.source}; VC dimension as in Bartlett et al. 2019, constants not checked",
    )


def _value(bound: Bound) -> float:
    return bound.value
