import math

import numpy as np
import pytest
import torch

from gaplab.metrics.bounds import Bound, finite_class_bound, finite_precision_bound, hoeffding_bound
from gaplab.metrics.rademacher import (
    empirical_rademacher,
    golowich_complexity,
    pac_bayes_spectral_scale,
    rademacher_bound,
    spectral_complexity,
    spectral_margin_scale,
)
from gaplab.metrics.vc import mohri_bound, relu_vc_bound, relu_vc_dimension, vapnik_bound

WEIGHTS = [torch.diag(torch.tensor([3.0, 1.0])), torch.diag(torch.tensor([2.0, 2.0]))]
ZEROS = [torch.zeros(2, 2), torch.zeros(2, 2)]


def test_bound_is_vacuous_from_the_trivial_value_on() -> None:
    def bound(value: float) -> Bound:
        return Bound(name="x", value=value, delta=0.1, rigorous=True, source="", trivial=2 / 3)

    assert [bound(v).vacuous for v in (0.5, 2 / 3, 0.9, math.nan)] == [False, True, True, True]


def test_hoeffding_and_occam_by_hand() -> None:
    assert hoeffding_bound(3000).value == pytest.approx(0.0248, abs=5e-5)
    # One hypothesis: only the one-sided Hoeffding term is left, exp(-2 m v²) = δ.
    value = finite_class_bound(0.0, 100, 0.01).value
    assert math.exp(-2 * 100 * value**2) == pytest.approx(0.01)
    # 603 float32 parameters are 603·32 bits, each worth ln 2.
    bound = finite_precision_bound(603, 1_000_000)
    assert bound.value == pytest.approx(math.sqrt((603 * 32 * 0.693147 + 2.995732) / 2e6), rel=1e-5)
    assert bound.rigorous
    assert not bound.vacuous
    with pytest.raises(ValueError, match=r"`delta`.*but got 2"):
        finite_class_bound(0.0, 100, 2)


def test_finite_class_bound_holds_for_the_best_of_many_coins() -> None:
    errors = np.random.default_rng(0).binomial(100, 0.5, size=(2000, 64)) / 100
    worst_gap = (0.5 - errors).max(axis=1)
    assert np.mean(worst_gap <= finite_class_bound(math.log(64), 100, 0.05).value) >= 0.95


@pytest.mark.parametrize(("num_points", "expected"), [(10**4, 3.6), (10**5, 1.74), (10**6, 0.69)])
def test_vapnik_form_for_dimension_9328(num_points: int, expected: float) -> None:
    assert vapnik_bound(9328, num_points).value == pytest.approx(expected, abs=0.05 * expected)


def test_vc_forms_are_infinite_below_the_dimension_and_fall_after_it() -> None:
    for form in (vapnik_bound, mohri_bound):
        assert form(100, 99).value == math.inf
        assert form(100, 99).vacuous
        assert form(100, 10_000).value > form(100, 20_000).value
    # d = m leaves ln e = 1: √2 + √(ln(1/δ)/(2m)).
    assert mohri_bound(50, 50, math.exp(-1)).value == pytest.approx(math.sqrt(2) + 0.1)


def test_relu_vc_dimension_counts_layers_parameters_and_units() -> None:
    # 2-3-1: parameters up to layer 1 and 2 are 9 and 13, weighted units 1·3 + 2·1.
    r = 2 * math.e * 5
    assert relu_vc_dimension([2, 3, 1]) == pytest.approx(2 + 22 * math.log2(2 * r * math.log2(r)))
    assert not relu_vc_bound([2, 3, 1], 10**6).rigorous
    assert relu_vc_bound([2, 3, 1], 10**6).value == mohri_bound(relu_vc_dimension([2, 3, 1]), 10**6).value
    with pytest.raises(ValueError, match=r"single output.*\[2, 100, 3\]"):
        relu_vc_dimension([2, 100, 3])


def test_relu_vc_dimension_solves_the_counting_inequality() -> None:
    # Warren's lemma layer by layer gives at most 2^L (2eRm/S)^S sign patterns on m points (AM-GM over
    # layers); above the dimension they must be fewer than 2^m.
    layers, total, weighted = 2, 22, 5
    dimension = relu_vc_dimension([2, 3, 1])

    def log2_patterns(num_points: float) -> float:
        return layers + total * math.log2(2 * math.e * weighted * num_points / total)

    assert log2_patterns(dimension) <= dimension


def test_rademacher_estimate() -> None:
    assert empirical_rademacher(1.0) == 1.0
    assert empirical_rademacher(0.5) == empirical_rademacher(0.4) == 0.0
    bound = rademacher_bound(0.75, 200, delta=2 * math.exp(-4))
    assert bound.value == pytest.approx(0.5 + 3 * 0.1)
    assert not bound.rigorous


def test_norm_scales_by_hand() -> None:
    frobenius = math.sqrt(10) * math.sqrt(8)
    expected = 0.5 * (math.sqrt(4 * math.log(2)) + 1) * frobenius / 20
    assert golowich_complexity(WEIGHTS, 0.5, 400) == pytest.approx(expected, rel=1e-6)
    # (2,1)-norms 3 + 1 and 2 + 2, spectral norms 3 and 2.
    r_a = 6 * ((4 / 3) ** (2 / 3) + 2 ** (2 / 3)) ** 1.5
    assert spectral_complexity(WEIGHTS, ZEROS) == pytest.approx(r_a, rel=1e-5)

    points = torch.ones(8, 2)
    scale = spectral_margin_scale(WEIGHTS, ZEROS, points, margin=0.5, delta=math.exp(-2))
    assert scale.value == pytest.approx(4 * r_a * math.log(2) / 4 + 0.5, rel=1e-5)
    scale = pac_bayes_spectral_scale(WEIGHTS, 0.5, 400, margin=2.0, delta=0.1)
    complexity = 0.25 * 4 * 2 * math.log(4) * 36 * (10 / 9 + 2)
    assert scale.value == pytest.approx(math.sqrt((complexity + math.log(8000)) / 1600), rel=1e-5)


def test_spectral_complexity_measures_rows_not_columns() -> None:
    weight = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    # One unit with a weight vector of length 5: (2,1)-norm 5 and spectral norm 5, while the columns sum to 7.
    assert spectral_complexity([weight], [torch.zeros(2, 2)]) == pytest.approx(5.0)


def test_a_layer_of_norm_zero_is_no_division_by_zero() -> None:
    dead = [torch.zeros(2, 2), WEIGHTS[1]]
    # Only the dead layer's own move counts: of the other one the product of all norms but its own is 0.
    moved = [torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2, 2)]
    assert spectral_complexity(dead, moved) == pytest.approx(5 * 2, rel=1e-6)
    assert spectral_margin_scale(dead, ZEROS, torch.ones(8, 2), margin=0.5, delta=math.exp(-2)).value == 0.5
    scale = pac_bayes_spectral_scale(dead, 0.5, 400, margin=2.0, delta=0.1)
    assert scale.value == pytest.approx(math.sqrt(math.log(8000) / 1600), rel=1e-5)
    huge = [1e200 * weight.double() for weight in WEIGHTS]
    assert spectral_complexity(huge, huge) == 0
    assert pac_bayes_spectral_scale(huge, 0.5, 400, margin=1e-200).value == math.inf


def test_margin_scales_refuse_a_margin_that_is_not_reached() -> None:
    with pytest.raises(ValueError, match=r"`margin` to be positive, but got -0\.1"):
        spectral_margin_scale(WEIGHTS, ZEROS, torch.ones(4, 2), margin=-0.1)
