import pytest
import torch
from scipy.stats import binom, permutation_test

from gaplab.metrics.generative.permutations import expected_p_value, permutation_p_value


def test_p_value_equals_scipy():
    source = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 12, generator=source, dtype=torch.float64)
    reference = permutation_test(
        (left.numpy(), right.numpy()),
        lambda x, y: x.mean() - y.mean(),
        n_resamples=200,
        alternative="greater",
        rng=0,
    )
    permuted = torch.as_tensor(reference.null_distribution)
    assert permutation_p_value(reference.statistic, permuted, tolerance=1e-12) == reference.pvalue


def test_expected_p_value_is_the_mean_over_statistics_that_take_the_observed_ones_place():
    permuted = torch.tensor([1.0, 2, 2, 2, 5, 5, 7, -1])
    others = [torch.cat([permuted[:i], permuted[i + 1 :]]) for i in range(8)]
    shares = [
        (rest >= value).double().mean().item() for value, rest in zip(permuted.tolist(), others, strict=True)
    ]
    assert expected_p_value(permuted) == pytest.approx((1 + 8 * sum(shares) / 8) / 9)


def test_expected_p_value_of_a_law_with_ties_equals_its_formula():
    """P(s' >= s) of two draws of one law is (1 + P(s' = s)) / 2."""
    source = torch.Generator().manual_seed(0)
    permuted = torch.binomial(torch.full((1000,), 10.0), torch.tensor(0.5), generator=source)
    tie = sum(binom.pmf(k, 10, 0.5) ** 2 for k in range(11))
    assert expected_p_value(permuted) == pytest.approx((1 + 1000 * (1 + tie) / 2) / 1001, abs=0.003)
    assert expected_p_value(torch.arange(1000.0)) == pytest.approx((1 + 1000 / 2) / 1001)
    assert expected_p_value(torch.ones(1000)) == 1


def test_rounding_counts_as_a_tie():
    permuted = torch.tensor([3.0, 3 * (1 - 1e-14), 2], dtype=torch.float64)
    assert permutation_p_value(3.0, permuted, tolerance=1e-12) == 3 / 4
    assert permutation_p_value(3.0, permuted) == 2 / 4
    assert expected_p_value(permuted, tolerance=1e-12) == pytest.approx((1 + 3 * 4 / 6) / 4)


def test_one_statistic_has_no_pair():
    with pytest.raises(ValueError, match="at least 2 permuted statistics, got 1"):
        expected_p_value(torch.ones(1))
