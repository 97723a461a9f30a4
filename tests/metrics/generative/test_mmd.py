import math

import pytest
import torch

from gaplab.metrics.generative.mmd import (
    BANDWIDTH_FACTORS,
    kernel_matrix,
    median_distance,
    mmd_test,
    unbiased_mmd2,
)


def normal(count, seed=0):
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_kernel_and_median_worked_out_by_hand():
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 2.0]])
    assert median_distance(points) == pytest.approx(math.sqrt(13))
    kernel = kernel_matrix(points, torch.tensor([1.0, 5.0]))
    assert kernel[0, 1].item() == pytest.approx(math.exp(-12.5) + math.exp(-0.5))
    assert kernel.diagonal().tolist() == [2, 2, 2]


@pytest.mark.parametrize(("num_left", "num_right"), [(7, 7), (5, 9)])
def test_unbiased_estimate_equals_three_explicit_sums(num_left, num_right):
    pooled = torch.cat([normal(num_left), normal(num_right, seed=1) + 1])
    k = kernel_matrix(pooled, torch.tensor([0.5, 2.0])).tolist()
    left, right = range(num_left), range(num_left, num_left + num_right)
    expected = (
        sum(k[i][j] for i in left for j in left if i != j) / (num_left * (num_left - 1))
        + sum(k[i][j] for i in right for j in right if i != j) / (num_right * (num_right - 1))
        - 2 * sum(k[i][j] for i in left for j in right) / (num_left * num_right)
    )
    ours = unbiased_mmd2(kernel_matrix(pooled, torch.tensor([0.5, 2.0])), num_left)
    assert ours == pytest.approx(expected, rel=1e-10)


def test_kernel_sum_equals_sklearn():
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    points = normal(20).double()
    widths = median_distance(points) * torch.tensor(BANDWIDTH_FACTORS)
    reference = sum(
        pairwise.rbf_kernel(points.numpy(), gamma=1 / (2 * width**2)) for width in widths.tolist()
    )
    assert torch.allclose(kernel_matrix(points, widths), torch.as_tensor(reference))


def test_a_shifted_sample_is_found_and_an_equal_law_is_not():
    shifted = mmd_test(normal(100), normal(100, seed=1) + 1, generator=generator())
    equal = mmd_test(normal(100), normal(100, seed=1), generator=generator())
    assert shifted.p_value == pytest.approx(1 / 201)
    assert equal.p_value > 0.05
    assert shifted.squared > 10 * abs(equal.squared)


def test_p_values_of_equal_laws_are_uniform():
    """At level 20 % about a fifth of 150 tests reject: 30 ± 4.9. MMD² and p-value are those expected, on average."""
    source = generator(5)
    results = []
    for _ in range(150):
        left, right = torch.randn(2, 20, 2, generator=source)
        results.append(mmd_test(left, right, num_permutations=99, generator=source))
    squared, p_values, expected = torch.tensor(results, dtype=torch.float64).unbind(dim=1)
    assert 15 <= (p_values <= 0.2).sum() <= 45
    assert abs(squared.mean()) < 3 * squared.std() / 150**0.5
    assert abs((p_values - expected).mean()) < 3 * p_values.std() / 150**0.5
    assert expected.tolist() == pytest.approx([(1 + 99 / 2) / 100] * 150)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="at least 2 points in each sample, got 1 and 5"):
        mmd_test(normal(1), normal(5), generator=generator())
    with pytest.raises(ValueError, match="num_permutations must be at least 1"):
        mmd_test(normal(5), normal(5), num_permutations=0, generator=generator())
    with pytest.raises(ValueError, match="median distance of the pooled points is 0"):
        mmd_test(torch.zeros(5, 2), torch.zeros(5, 2), generator=generator())


def test_at_the_scale_of_the_law_the_width_of_modes_is_seen():
    """Modes of half the width on a ring: the median distance is a hundred times too wide a kernel for them."""
    source = torch.Generator().manual_seed(0)
    angles = 2 * torch.pi * torch.randint(8, (2, 500), generator=source) / 8
    centers = torch.stack([angles.cos(), angles.sin()], dim=2)
    noise = 0.01 * torch.randn(2, 500, 2, generator=source)
    real, fake = centers[0] + noise[0], centers[1] + 0.5 * noise[1]
    wide = mmd_test(real, fake, generator=source).p_value
    fine = mmd_test(real, fake, generator=source, scale=0.01).p_value
    assert wide > 0.05
    assert fine < 0.01
