"""Rademacher bounds: from training on random labels, and from the norms of the weights.

The norm-based ones are scales. Their papers assume networks without biases, margins chosen beforehand, and
leave constants or logarithms out; here they serve to compare networks, not to guarantee anything.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gaplab.metrics.bounds import Bound, require_delta


def empirical_rademacher(random_label_accuracy: float) -> float:
    """2·accuracy − 1: complexity of a class of ±1-valued classifiers, from training on fair coin labels.

    The accuracy is that on the training points. The complexity is a supremum over the class; training need
    not reach it, so this is an estimate from below. Negative values (worse than chance) count as 0.
    """
    return max(2 * random_label_accuracy - 1, 0.0)


def rademacher_bound(random_label_accuracy: float, num_points: int, delta: float = 0.05) -> Bound:
    """ℜ̂ + 3√(ln(2/δ)/(2m)) for the gap of the 0-1 loss of two classes.

    The general form has 2ℜ̂(loss class), and the 0-1 loss class has half the complexity of the classifiers.
    Not rigorous: the complexity is estimated from below.
    """
    require_delta(delta)
    return Bound(
        name="rademacher_random_labels",
        value=empirical_rademacher(random_label_accuracy)
        + 3 * math.sqrt(math.log(2 / delta) / (2 * num_points)),
        delta=delta,
        rigorous=False,
        source="Bartlett and Mendelson 2002, Mohri et al.; complexity by training on random labels",
    )


def golowich_complexity(weights: Sequence[Tensor], input_radius: float, num_points: int) -> float:
    """B·(√(2·d·ln 2) + 1)·Π‖W_i‖_F/√m: complexity of real-valued ReLU nets of depth d without biases.

    Holds for all weights within these Frobenius norms and inputs within radius B (Golowich, Rakhlin and
    Shamir 2018, Theorem 1). A norm taken from the trained network is not fixed in advance: a scale.
    """
    product = math.prod(weight.norm().item() for weight in weights)
    return input_radius * (math.sqrt(2 * len(weights) * math.log(2)) + 1) * product / math.sqrt(num_points)


def spectral_complexity(weights: Sequence[Tensor], references: Sequence[Tensor]) -> float:
    """R_A = Π‖A_i‖₂·(Σ(‖A_iᵀ − M_iᵀ‖_{2,1}/‖A_i‖₂)^{2/3})^{3/2} for 1-Lipschitz activations.

    ‖·‖_{2,1} sums the Euclidean norms of the columns of its argument, here the rows of A_i − M_i (shape
    [units, inputs], one row a unit); M_i are the weights at initialisation.
    Source: Bartlett, Foster and Telgarsky 2017, equation 1.2. Each ratio is multiplied by the product, so that a
    layer of norm 0 is no division by 0.
    """
    norms = [torch.linalg.matrix_norm(weight, 2).item() for weight in weights]
    moves = [(w - w0).norm(dim=1).sum().item() for w, w0 in zip(weights, references, strict=True)]
    terms = [move * math.prod(others) for move, others in zip(moves, _without_each(norms), strict=True)]
    return float(torch.tensor(terms, dtype=torch.float64).pow(2 / 3).sum().pow(1.5))


def _without_each(values: Sequence[float]) -> list[list[float]]:
    """Return for each value the list of the others."""
    return [[*values[:place], *values[place + 1 :]] for place in range(len(values))]


def spectral_margin_scale(
    weights: Sequence[Tensor],
    references: Sequence[Tensor],
    points: Tensor,
    margin: float,
    delta: float = 0.05,
) -> Bound:
    """‖X‖_F·R_A·ln(W)/(γ·m) + √(ln(1/δ)/m), with W the largest width and γ > 0 the margin.

    The paper bounds Pr[wrong] − R̂_γ by the Õ of this: constants and further logarithms are missing.
    """
    require_delta(delta)
    _require_positive_margin(margin)
    largest_width = max(max(weight.shape) for weight in weights)
    complexity = points.norm().item() * spectral_complexity(weights, references) * math.log(largest_width)
    return Bound(
        name="spectral_margin",
        value=complexity / (margin * len(points)) + math.sqrt(math.log(1 / delta) / len(points)),
        delta=delta,
        rigorous=False,
        source="Bartlett, Foster and Telgarsky 2017, Theorem 1.1, without constants",
    )


def pac_bayes_spectral_scale(
    weights: Sequence[Tensor], input_radius: float, num_points: int, margin: float, delta: float = 0.05
) -> Bound:
    """√((B²d²h·ln(dh)·Π‖W_i‖₂²·Σ‖W_i‖_F²/‖W_i‖₂² + ln(dm/δ))/(γ²m)), with h the width and d the depth.

    The paper bounds L₀ − L̂_γ by the O of this: the constant is missing.
    """
    require_delta(delta)
    _require_positive_margin(margin)
    depth = len(weights)
    width = max(max(weight.shape) for weight in weights)
    spectral = [torch.linalg.matrix_norm(weight, 2).square().item() for weight in weights]
    squares = [weight.square().sum().item() for weight in weights]
    # The product over all layers times each stable rank, without a division by the norm of a layer.
    terms = [own * math.prod(others) for own, others in zip(squares, _without_each(spectral), strict=True)]
    complexity = input_radius * input_radius * depth**2 * width * math.log(depth * width) * sum(terms)
    return Bound(
        name="pac_bayes_spectral",
        value=math.sqrt((complexity + math.log(depth * num_points / delta)) / num_points) / margin,
        delta=delta,
        rigorous=False,
        source="Neyshabur, Bhojanapalli and Srebro 2018, Theorem 1, without constants",
    )


def _require_positive_margin(margin: float) -> None:
    if margin <= 0:
        raise ValueError(
            f"Expected `margin` to be positive, but got {margin}: take one that training points reach."
        )
